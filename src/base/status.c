// Status texts and the thread's message.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fim/base.h"

static _Thread_local char message[2048];

const char *fim_status_text(fim_status status) {
    static const char *const text[] = {
#define FIM_STATUS_TEXT(code, text) text,
        FIM_STATUS_LIST(FIM_STATUS_TEXT)
#undef FIM_STATUS_TEXT
    };
    return (unsigned)status < FIM_STATUS_COUNT ? text[status] : "unknown status";
}

const char *fim_message(void) {
    return message;
}

fim_status fim_fail(fim_status status, const char *format, ...) {
    char text[sizeof message]; // an argument may be fim_message() itself
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    // One line, whatever names and texts of a file it quotes.
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    memcpy(message, text, sizeof message);
    return status;
}

fim_status fim_context(fim_status status, const char *format, ...) {
    if (status == FIM_OK)
        return status;
    char prefix[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(prefix, sizeof prefix, format, arguments);
    va_end(arguments);
    return fim_fail(status, "%s: %s", prefix, message);
}
