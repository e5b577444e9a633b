/* Joins the two records of a request: the first is held until the last arrives, which then goes on with the duration of
 * the request. Held records survive a crash.
 *
 * Create a project with `weir filter new NAME --lang c` and replace its filter.c with this file. */
#define WEIR_HOLDING
#include "weir.h"

WEIR_FILTER("requests", "1.0.0", "makes one record of the beginning and the end of a request")

enum { MAX_WAITING = 1000, MAX_ID_BYTES = 64 };

#define WAIT_NS (60 * 1000000000ll)

/* A request that has started but not ended. */
typedef struct {
    uint64_t held;       /* the id of its held record */
    int64_t began, came; /* start by the record's time, arrival by ours */
    size_t length;
    char id[MAX_ID_BYTES];
} request;

static request waiting[MAX_WAITING];
static size_t waiting_count;

static request *find(weir_text id)
{
    for (size_t i = 0; i < waiting_count; i++)
        if (weir_same_text((weir_text){ waiting[i].id, waiting[i].length }, id))
            return &waiting[i];
    return NULL;
}

static void forget(request *one)
{
    weir_release(one->held);
    *one = waiting[--waiting_count];
}

const char *weir_configure(weir_value options) { return weir_check_options(options, NULL); }

weir_verdict weir_process(weir_record *record)
{
    weir_text id = weir_as_text(weir_field(record, "context.request"));
    if (!id.length || id.length > MAX_ID_BYTES)
        return WEIR_KEEP;
    request *known = find(id);
    if (weir_same_text(weir_message_of(record), WEIR_TEXT("begin")) && !known && waiting_count < MAX_WAITING) {
        request *one = &waiting[waiting_count++];
        *one = (request){ weir_id_of(record), weir_time_of(record), weir_now(), id.length, { 0 } };
        for (size_t i = 0; i < id.length; i++)
            one->id[i] = id.at[i];
        return WEIR_HOLD;
    }
    if (weir_same_text(weir_message_of(record), WEIR_TEXT("end")) && known) {
        weir_set_integer(record, "context.took_ms", (weir_time_of(record) - known->began) / 1000000);
        forget(known);
    }
    return WEIR_KEEP;
}

/* Reports requests that don't end. Nothing to do when Weir stops: it gives held records again. */
void weir_tick(bool closing, weir_record *out)
{
    (void)closing;
    for (size_t i = waiting_count; i-- > 0;) {
        if (weir_now() - waiting[i].came < WAIT_NS)
            continue;
        weir_record *late = weir_another(out);
        weir_set_message(late, WEIR_TEXT("a request has not ended"));
        weir_set_level(late, WEIR_WARNING);
        weir_set_text(late, "context.request", (weir_text){ waiting[i].id, waiting[i].length });
        forget(&waiting[i]);
    }
}

void weir_save(weir_buffer *state) { weir_append(state, waiting, waiting_count * sizeof *waiting); }

const char *weir_restore(const uint8_t *state, size_t length)
{
    if (length % sizeof *waiting || length > sizeof waiting)
        return "the state is not from this filter";
    for (size_t i = 0; i < length; i++)
        ((uint8_t *)waiting)[i] = state[i];
    waiting_count = length / sizeof *waiting;
    return NULL;
}
