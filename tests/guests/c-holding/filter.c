/* Holds the sum of the numbers so far instead of each record, and reports that it counted; "show" emits the sum. */
#define WEIR_HOLDING
#include "weir.h"

WEIR_FILTER("sums", "1.0.0", "holds a sum")

static int64_t sum;
static uint64_t last;

const char *weir_configure(weir_value options)
{
    (void)options;
    return NULL;
}

weir_verdict weir_process(weir_record *record)
{
    int64_t number = weir_as_integer(weir_field(record, "n"));
    if (weir_same_text(weir_message_of(record), WEIR_TEXT("sum"))) {
        sum = number; /* given again */
        last = weir_id_of(record);
        return WEIR_HOLD;
    }
    weir_release(last);
    weir_record *made = weir_another(record);
    weir_set_message(made, WEIR_TEXT("sum"));
    weir_set_integer(made, "n", sum += number);
    if (weir_same_text(weir_message_of(record), WEIR_TEXT("show")))
        return WEIR_REPLACE;
    weir_set_message(weir_another(record), WEIR_TEXT("counted"));
    last = weir_id_of(record);
    return WEIR_HOLD_ANOTHER;
}

void weir_tick(bool closing, weir_record *out)
{
    if (!closing)
        return;
    weir_set_integer(weir_another(out), "n", sum);
    weir_release(last);
}

void weir_save(weir_buffer *state)
{
    weir_append(state, &sum, sizeof sum);
    weir_append(state, &last, sizeof last);
}

const char *weir_restore(const uint8_t *state, size_t length)
{
    if (length != sizeof sum + sizeof last)
        return "the state is not of this filter";
    __builtin_memcpy(&sum, state, sizeof sum);
    __builtin_memcpy(&last, state + sizeof sum, sizeof last);
    return NULL;
}
