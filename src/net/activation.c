// Activations by name, and at one number.
#include "internal.h"

static const char *const names[] = {
#define FIM_ACTIVATION(id, name, value, slope) name,
#include "fim/activations.def"
#undef FIM_ACTIVATION
};

const char *fim_activation_name(fim_activation activation) {
    return (unsigned)activation < FIM_ACTIVATION_COUNT ? names[activation] : "unknown";
}

fim_status fim_activation_parse(const char *name, fim_activation *out) {
    size_t index;
    fim_status status = fim_name_find("activation", names, FIM_ACTIVATION_COUNT, name, &index);
    if (status == FIM_OK)
        *out = (fim_activation)index;
    return status;
}

double fim_activation_value(fim_activation activation, double s) {
    double value = NAN;
    activation_values(activation, &s, 1, &value);
    return value;
}

double fim_activation_slope(fim_activation activation, double s) {
    double slope = NAN;
    activation_slopes(activation, &s, 1, &slope);
    return slope;
}
