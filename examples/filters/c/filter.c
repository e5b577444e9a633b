/* Masks e-mail addresses in `context`, drops DEBUG, counts what it masked. */
#include "weir.h"

WEIR_FILTER("my-filter", "0.1.0", "masks e-mail addresses, drops DEBUG")

/* The text that replaces an address. */
static weir_text mask = WEIR_TEXT("********");

const char *weir_configure(weir_value options)
{
    weir_value wanted = weir_get(options, "mask");
    if (weir_exists(wanted) && weir_kind_of(wanted) != WEIR_STRING)
        return "`mask` must be a text";
    if (weir_exists(wanted))
        mask = weir_as_text(wanted);
    return weir_check_options(options, "mask");
}

weir_verdict weir_process(weir_record *record)
{
    if (weir_level_of(record) <= WEIR_DEBUG)
        return WEIR_DROP;
    if (weir_exists(weir_field(record, "context.email"))) {
        weir_set_text(record, "context.email", mask);
        weir_count("masked", 1);
    }
    return WEIR_KEEP;
}
