// Reports to the caller: progress, notes, and the question whether to go on.
#include <stdarg.h>
#include <stdio.h>

#include "fim/base.h"

fim_status fim_monitor_progress(const fim_monitor *monitor, const char *what, double done, double total) {
    if (monitor == NULL)
        return FIM_OK;
    if (monitor->progress != NULL)
        monitor->progress(monitor->context, what, done, total);
    if (monitor->cancelled != NULL && monitor->cancelled(monitor->context))
        return FIM_FAIL(FIM_CANCELLED, "interrupted during: %s", what);
    return FIM_OK;
}

void fim_monitor_note(const fim_monitor *monitor, const char *format, ...) {
    if (monitor == NULL || monitor->note == NULL)
        return;
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    monitor->note(monitor->context, text);
}
