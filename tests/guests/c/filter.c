/* Uses all of weir.h; `tests/e2e/helpers.rs` has the expected results. */
#define WEIR_STATEFUL
#include "weir.h"

WEIR_FILTER("everything", "1.0.0", "uses all that the helper has")

static uint64_t seen;

const char *weir_configure(weir_value options)
{
    weir_value nested = weir_get(options, "nested.list.1.text");
    if (!weir_same_text(weir_as_text(nested), WEIR_TEXT("ü \"☃\"\n🦀")))
        return "the options arrive otherwise than they were written";
    if (weir_as_integer(weir_get(options, "number")) != -5000000000 || weir_as_float(weir_get(options, "float")) != -0.25)
        return "numbers in options arrive otherwise than they were written";
    return weir_check_options(options, "nested", "number", "float");
}

static weir_verdict change(weir_record *record)
{
    bool done = weir_set_text(record, "context.user.name", WEIR_TEXT("Ada"));
    done &= weir_set_integer(record, "context.user.age", 36);
    done &= weir_set_text(record, "context.user.name", WEIR_TEXT("Ada Lovelace"));
    done &= weir_set_text(record, "a\\.b", WEIR_TEXT("dotted"));
    done &= weir_set_float(record, "ratio", 0.5);
    done &= weir_set_boolean(record, "ok", true);
    done &= weir_remove(record, "secret") && weir_remove(record, "context.token");
    /* Nothing is there to remove, so what is on the paths stays as it is. */
    done &= weir_remove(record, "keep.deep") && weir_remove(record, "nowhere.deep");
    done &= weir_set_integer(record, "keep.set", 1) && weir_remove(record, "keep.set");
    done &= weir_set_value(record, "keep.copy", weir_field(record, "nowhere"));
    done &= weir_set_level(record, WEIR_ERROR) && weir_set_message(record, WEIR_TEXT("changed"));
    done &= weir_add_route(record, WEIR_TEXT("audit"));
    done &= weir_set_value(record, "copy", weir_field(record, "list.1"));
    bool undone = weir_set_text(record, "list.0", WEIR_TEXT("x")) || weir_set_text(record, "context.user", WEIR_TEXT("x"));
    return done && !undone ? WEIR_KEEP : weir_fail(record, WEIR_TEXT("a change was taken otherwise"));
}

static weir_verdict split(weir_record *record)
{
    weir_record *one = weir_another(record);
    weir_set_text(one, "message", WEIR_TEXT("one"));
    weir_set_integer(one, "n", weir_as_integer(weir_field(record, "number")));
    weir_record *two = weir_another(record);
    weir_set_text(two, "message", WEIR_TEXT("two"));
    weir_set_value(two, "context", weir_field(record, "context"));
    return WEIR_REPLACE;
}

static weir_verdict store(weir_record *record)
{
    weir_text value;
    weir_kv_set(WEIR_TEXT("k"), WEIR_TEXT("kept"), 60000);
    weir_set_text(record, "stored", weir_kv_get(WEIR_TEXT("k"), &value) ? value : WEIR_TEXT(""));
    weir_kv_delete(WEIR_TEXT("k"));
    weir_set_boolean(record, "gone", !weir_kv_get(WEIR_TEXT("k"), &value));
    weir_kv_add(WEIR_TEXT("n"), 2, 60000);
    weir_set_integer(record, "n", weir_kv_add(WEIR_TEXT("n"), 3, 60000));
    weir_set_boolean(record, "later", weir_now() > weir_time_of(record));
    weir_log(WEIR_WARNING, WEIR_TEXT("the store was used"));
    weir_count("stored", 2);
    return WEIR_KEEP;
}

/* The types of all values of a record, in order. */
static weir_verdict kinds(weir_record *record)
{
    weir_value key, item;
    static char text[200];
    size_t length = 0;
    for (weir_each each = weir_each_of(weir_whole(record)); weir_next(&each, &key, &item);)
        text[length++] = "?nbiftBLMX"[weir_kind_of(item)];
    weir_set_text(record, "kinds", (weir_text){ text, length });
    weir_set_float(record, "sum", weir_as_float(weir_field(record, "float")) + (double)weir_as_integer(weir_field(record, "large")));
    weir_set_integer(record, "bounded", weir_as_integer(weir_field(record, "most")));
    weir_set_float(record, "nearest", weir_as_float(weir_field(record, "most")));
    weir_set_integer(record, "length", (int64_t)weir_length(weir_field(record, "list")));
    return WEIR_KEEP;
}

weir_verdict weir_process(weir_record *record)
{
    weir_text message = weir_message_of(record);
    seen++;
    if (weir_same_text(message, WEIR_TEXT("change")))
        return change(record);
    if (weir_same_text(message, WEIR_TEXT("split")))
        return split(record);
    if (weir_same_text(message, WEIR_TEXT("store")))
        return store(record);
    if (weir_same_text(message, WEIR_TEXT("kinds")))
        return kinds(record);
    if (weir_same_text(message, WEIR_TEXT("fail")))
        return weir_fail(record, WEIR_TEXT("no idea"));
    return weir_same_text(weir_source_of(record), WEIR_TEXT("noise")) ? WEIR_DROP : WEIR_KEEP;
}

void weir_tick(bool closing, weir_record *out)
{
    if (!closing)
        return;
    weir_record *record = weir_another(out);
    weir_set_text(record, "message", WEIR_TEXT("seen"));
    weir_set_integer(record, "n", (int64_t)seen);
}

void weir_save(weir_buffer *state)
{
    weir_append(state, &seen, sizeof seen);
}

const char *weir_restore(const uint8_t *state, size_t length)
{
    if (length != sizeof seen)
        return "this is no state of mine";
    for (size_t i = 0; i < length; i++)
        ((uint8_t *)&seen)[i] = state[i];
    return NULL;
}
