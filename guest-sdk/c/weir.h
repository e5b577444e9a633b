/* Write filters for Weir in C: you need only this header and a compiler. It requires C99 and no C library, but works
 * with one (malloc, string.h and so on).
 *
 * A filter is one source file that includes this header and defines
 *
 *     WEIR_FILTER("name", "1.0.0", "what it does, in one sentence")
 *     const char *weir_configure(weir_value options);      NULL, or an error message
 *     weir_verdict weir_process(weir_record *record);      called for each record
 *
 * A filter that keeps state puts `#define WEIR_STATEFUL` before the include and also defines
 *
 *     void weir_tick(bool closing, weir_record *out);      about once a second; weir_another(out) makes records
 *     void weir_save(weir_buffer *state);                  for the version that replaces this one
 *     const char *weir_restore(const uint8_t *state, size_t length);     NULL, or an error message
 *
 * A filter that must see more records before it can let one go on uses `#define WEIR_HOLDING` instead. It has the same
 * functions, and weir_process() may also return WEIR_HOLD: Weir then keeps the record, even across a crash, until
 * weir_release() is called with its id. A new instance is first given all held records again, in order and in one or
 * more batches; it processes them as the first time and so reaches the same state.
 *
 * Records are read in place, as MessagePack: reading a field copies nothing. Pointers, `weir_text` and `weir_value` that
 * a filter gets are valid until the function returns; the options stay valid.
 *
 * Paths have dots and reach into lists by index: "context.user.email", "tags.0". Escape a dot or a backslash inside a
 * key with a backslash; a backslash at the very end stands for itself. */
#ifndef WEIR_H
#define WEIR_H

#ifdef WEIR_HOLDING
#define WEIR_STATEFUL
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Values ---------------------------------------------------------------------------------------------------- */

/* A UTF-8 string, not terminated by a zero. */
typedef struct {
    const char *at;
    size_t length;
} weir_text;

#define WEIR_TEXT(literal) ((weir_text){ (literal), sizeof(literal) - 1 })
static inline weir_text weir_text_of(const char *ended_by_zero);

/* A value in a record; if a path has no value, its type is "nothing". */
typedef struct {
    const uint8_t *at;
} weir_value;

typedef enum {
    WEIR_NOTHING,
    WEIR_NULL,
    WEIR_BOOLEAN,
    WEIR_INTEGER,
    WEIR_FLOAT,
    WEIR_STRING,
    WEIR_BINARY,
    WEIR_LIST,
    WEIR_MAP,
    WEIR_EXTENSION
} weir_kind;

typedef enum { WEIR_TRACE, WEIR_DEBUG, WEIR_INFO, WEIR_WARNING, WEIR_ERROR, WEIR_CRITICAL } weir_level;

static inline bool weir_exists(weir_value value) { return value.at != NULL; }
static inline weir_kind weir_kind_of(weir_value value);

/* The value as a C type; zero, or an empty string, if it has another type. */
static inline bool weir_as_boolean(weir_value value);
static inline int64_t weir_as_integer(weir_value value); /* INT64_MAX if it is greater */
static inline double weir_as_float(weir_value value);    /* of WEIR_INTEGER too */
static inline weir_text weir_as_text(weir_value value); /* of WEIR_BINARY too */

/* The number of values of a list or map. */
static inline size_t weir_length(weir_value value);

/* The value at a path below a value. */
static inline weir_value weir_get(weir_value value, const char *path);

/* Iteration: `weir_value key, item; for (weir_each each = weir_each_of(map); weir_next(&each, &key, &item);)`.
 * The items of a list have no key. */
typedef struct {
    const uint8_t *at;
    size_t left;
    bool has_keys;
} weir_each;
static inline weir_each weir_each_of(weir_value value);
static inline bool weir_next(weir_each *each, weir_value *key, weir_value *item);

static inline bool weir_same_text(weir_text text, weir_text other);

/* NULL, or an error about the first unknown option: weir_check_options(options, "mask", "keys"). */
#define weir_check_options(options, ...) weir__check_options((options), (const char *const[]){ __VA_ARGS__, NULL })

/* ---- Records --------------------------------------------------------------------------------------------------- */

typedef struct weir_record weir_record;

/* What happens to a record. */
typedef enum {
    WEIR_KEEP,    /* it goes on, with your changes */
    WEIR_DROP,    /* it is dropped; its sender is told that it was accepted */
    WEIR_REPLACE, /* it is replaced with the records made with weir_another() */
    WEIR_FAIL,    /* the filter failed; the text passed to weir_fail() says why */
#ifdef WEIR_HOLDING
    WEIR_HOLD,        /* it is held until released; records made with weir_another(), if any, go on in its place */
    WEIR_HOLD_ANOTHER /* the first record made with weir_another() is held in its place, the others go on */
#endif
} weir_verdict;

static inline weir_value weir_field(const weir_record *record, const char *path);
static inline weir_value weir_whole(const weir_record *record); /* the record as a map */
static inline int64_t weir_time_of(const weir_record *record);  /* nanoseconds since 1970-01-01 UTC */
static inline weir_level weir_level_of(const weir_record *record);
static inline weir_text weir_source_of(const weir_record *record);
static inline weir_text weir_message_of(const weir_record *record);

/* Changes. Missing maps on the path are created; the path must stay in memory until the function returns. A map is
 * merged into an existing one; "nothing" removes. They return false if the path leads into a list (set the whole list),
 * if a value above the path was set before, or if there are more than 64 changes. */
static inline bool weir_set_text(weir_record *record, const char *path, weir_text value);
static inline bool weir_set_integer(weir_record *record, const char *path, int64_t value);
static inline bool weir_set_float(weir_record *record, const char *path, double value);
static inline bool weir_set_boolean(weir_record *record, const char *path, bool value);
static inline bool weir_set_value(weir_record *record, const char *path, weir_value value);
static inline bool weir_set_level(weir_record *record, weir_level level);
static inline bool weir_set_message(weir_record *record, weir_text message);
static inline bool weir_remove(weir_record *record, const char *path); /* the value, if there is one */
static inline bool weir_add_route(weir_record *record, weir_text label); /* at most one per record; sinks can select by it */

/* Makes a new record to replace this one. Call it again for each further record, and return WEIR_REPLACE. The new record
 * is empty: set its content. Unless you set them, it inherits the time, level and source of this record. */
static inline weir_record *weir_another(weir_record *record);

#ifdef WEIR_HOLDING
/* A number that is unique among the records of this filter; later records have higher ones. */
static inline uint64_t weir_id_of(const weir_record *record);

/* Releases the record held under this id, because its result was emitted or it is not needed. Call it in weir_process()
 * or weir_tick(); an unknown id is ignored. */
static inline void weir_release(uint64_t id);
#endif

/* The reason of a WEIR_FAIL. */
static inline weir_verdict weir_fail(weir_record *record, weir_text reason);

/* ---- The functions of the host ---------------------------------------------------------------------------------- */

static inline void weir_log(weir_level level, weir_text line);
static inline void weir_count(const char *counter, uint64_t add); /* shown in Weir's metrics; at most 64 names */
static inline int64_t weir_now(void);                             /* nanoseconds since 1970-01-01 UTC */

/* A small key-value store in memory, shared by all instances and versions of the filter; entries expire. */
static inline bool weir_kv_get(weir_text key, weir_text *value);
static inline void weir_kv_set(weir_text key, weir_text value, uint64_t ttl_ms);
static inline int64_t weir_kv_add(weir_text key, int64_t add, uint64_t ttl_ms); /* returns the sum */
static inline void weir_kv_delete(weir_text key);

/* ---- A growing buffer; weir_save() appends to one ---------------------------------------------------------------- */

typedef struct {
    uint8_t *at;
    size_t length, capacity;
} weir_buffer;
static inline void weir_append(weir_buffer *buffer, const void *bytes, size_t length);

/* The functions that a filter defines. */
const char *weir_configure(weir_value options);
weir_verdict weir_process(weir_record *record);
#ifdef WEIR_STATEFUL
void weir_tick(bool closing, weir_record *out);
void weir_save(weir_buffer *state);
const char *weir_restore(const uint8_t *state, size_t length);
#endif

#define WEIR_FILTER(name, version, description)                                                                        \
    const weir_text weir__about[3] = {                                                                                 \
        { (name), sizeof(name) - 1 }, { (version), sizeof(version) - 1 }, { (description), sizeof(description) - 1 }    \
    };
extern const weir_text weir__about[3];

/* ================================================================================================================== */
/* The implementation.                                                                                                 */

/* Memory that Weir writes arguments to, and buffers for results: separate pages, independent of any malloc. */
#define WEIR__PAGE 65536u

static inline void *weir__pages(size_t bytes)
{
    size_t pages = (bytes + WEIR__PAGE - 1) / WEIR__PAGE;
    size_t before = __builtin_wasm_memory_grow(0, pages);
    if (before == (size_t)-1)
        __builtin_trap();
    return (void *)(before * WEIR__PAGE);
}

static inline void weir__copy(void *to, const void *from, size_t length) { __builtin_memcpy(to, from, length); }

static inline void weir__reserve(weir_buffer *buffer, size_t more)
{
    if (buffer->length + more <= buffer->capacity)
        return;
    /* Outgrown memory is not reused: in total it is less than the final size. */
    size_t capacity = buffer->capacity * 2;
    if (capacity < buffer->length + more)
        capacity = buffer->length + more;
    capacity = (capacity + WEIR__PAGE - 1) / WEIR__PAGE * WEIR__PAGE;
    uint8_t *at = weir__pages(capacity);
    if (buffer->length)
        weir__copy(at, buffer->at, buffer->length);
    buffer->at = at;
    buffer->capacity = capacity;
}

static inline void weir_append(weir_buffer *buffer, const void *bytes, size_t length)
{
    weir__reserve(buffer, length);
    weir__copy(buffer->at + buffer->length, bytes, length);
    buffer->length += length;
}

static inline void weir__byte(weir_buffer *buffer, uint8_t byte)
{
    weir__reserve(buffer, 1);
    buffer->at[buffer->length++] = byte;
}

/* ---- Reading MessagePack. Weir passes only complete and valid records, so nothing is checked again. ---------------- */

static inline uint32_t weir__u16(const uint8_t *at) { return (uint32_t)at[0] << 8 | at[1]; }
static inline uint32_t weir__u32(const uint8_t *at)
{
    uint32_t word;
    weir__copy(&word, at, 4);
    return __builtin_bswap32(word);
}
static inline uint64_t weir__u64(const uint8_t *at)
{
    uint64_t word;
    weir__copy(&word, at, 8);
    return __builtin_bswap64(word);
}

/* The end of the value. */
static inline const uint8_t *weir__skip(const uint8_t *at)
{
    size_t left = 1;
    while (left--) {
        uint8_t byte = *at++;
        if (byte < 0x80 || byte >= 0xe0)
            continue;
        if (byte >= 0xa0 && byte < 0xc0) {
            at += byte & 31;
            continue;
        }
        if (byte < 0x90) {
            left += 2 * (byte & 15);
            continue;
        }
        if (byte < 0xa0) {
            left += byte & 15;
            continue;
        }
        switch (byte) {
        case 0xc4: case 0xd9: at += 1 + at[0]; break;
        case 0xc5: case 0xda: at += 2 + weir__u16(at); break;
        case 0xc6: case 0xdb: at += 4 + weir__u32(at); break;
        case 0xc7: at += 2 + at[0]; break;
        case 0xc8: at += 3 + weir__u16(at); break;
        case 0xc9: at += 5 + weir__u32(at); break;
        case 0xcc: case 0xd0: at += 1; break;
        case 0xcd: case 0xd1: case 0xd4: at += 2; break;
        case 0xd5: at += 3; break;
        case 0xca: case 0xce: case 0xd2: at += 4; break;
        case 0xd6: at += 5; break;
        case 0xcb: case 0xcf: case 0xd3: at += 8; break;
        case 0xd7: at += 9; break;
        case 0xd8: at += 17; break;
        case 0xdc: left += weir__u16(at); at += 2; break;
        case 0xdd: left += weir__u32(at); at += 4; break;
        case 0xde: left += 2 * weir__u16(at); at += 2; break;
        case 0xdf: left += 2 * weir__u32(at); at += 4; break;
        default: break; /* null, false, true */
        }
    }
    return at;
}

static inline weir_kind weir_kind_of(weir_value value)
{
    if (!value.at)
        return WEIR_NOTHING;
    uint8_t byte = *value.at;
    if (byte < 0x80 || byte >= 0xe0 || (byte >= 0xcc && byte <= 0xd3))
        return WEIR_INTEGER;
    if (byte < 0x90 || byte >= 0xde)
        return WEIR_MAP;
    if (byte < 0xa0 || byte >= 0xdc)
        return WEIR_LIST;
    if (byte < 0xc0 || byte >= 0xd9)
        return WEIR_STRING;
    if (byte == 0xc0)
        return WEIR_NULL;
    if (byte <= 0xc3)
        return WEIR_BOOLEAN;
    if (byte <= 0xc6)
        return WEIR_BINARY;
    return byte == 0xca || byte == 0xcb ? WEIR_FLOAT : WEIR_EXTENSION;
}

static inline bool weir_as_boolean(weir_value value) { return value.at && *value.at == 0xc3; }

static inline int64_t weir_as_integer(weir_value value)
{
    if (!value.at)
        return 0;
    uint8_t byte = *value.at;
    const uint8_t *at = value.at + 1;
    if (byte < 0x80 || byte >= 0xe0)
        return (int8_t)byte;
    switch (byte) {
    case 0xcc: return at[0];
    case 0xcd: return weir__u16(at);
    case 0xce: return weir__u32(at);
    case 0xcf: return weir__u64(at) > INT64_MAX ? INT64_MAX : (int64_t)weir__u64(at);
    case 0xd0: return (int8_t)at[0];
    case 0xd1: return (int16_t)weir__u16(at);
    case 0xd2: return (int32_t)weir__u32(at);
    case 0xd3: return (int64_t)weir__u64(at);
    default: return 0;
    }
}

static inline double weir_as_float(weir_value value)
{
    if (!value.at)
        return 0;
    if (*value.at == 0xcb) {
        uint64_t bits = weir__u64(value.at + 1);
        double number;
        weir__copy(&number, &bits, 8);
        return number;
    }
    if (*value.at == 0xca) {
        uint32_t bits = weir__u32(value.at + 1);
        float number;
        weir__copy(&number, &bits, 4);
        return number;
    }
    if (*value.at == 0xcf)
        return (double)weir__u64(value.at + 1);
    return (double)weir_as_integer(value);
}

static inline weir_text weir__text(const uint8_t *at, size_t length) { return (weir_text){ (const char *)at, length }; }

static inline weir_text weir_as_text(weir_value value)
{
    const uint8_t *at = value.at;
    if (!at)
        return weir__text(NULL, 0);
    if (*at >= 0xa0 && *at < 0xc0)
        return weir__text(at + 1, *at & 31);
    switch (*at) {
    case 0xc4: case 0xd9: return weir__text(at + 2, at[1]);
    case 0xc5: case 0xda: return weir__text(at + 3, weir__u16(at + 1));
    case 0xc6: case 0xdb: return weir__text(at + 5, weir__u32(at + 1));
    default: return weir__text(NULL, 0);
    }
}

static inline weir_each weir_each_of(weir_value value)
{
    weir_each none = { NULL, 0, false };
    const uint8_t *at = value.at;
    if (!at)
        return none;
    if (*at >= 0x80 && *at < 0x90)
        return (weir_each){ at + 1, *at & 15, true };
    if (*at >= 0x90 && *at < 0xa0)
        return (weir_each){ at + 1, *at & 15, false };
    switch (*at) {
    case 0xdc: return (weir_each){ at + 3, weir__u16(at + 1), false };
    case 0xdd: return (weir_each){ at + 5, weir__u32(at + 1), false };
    case 0xde: return (weir_each){ at + 3, weir__u16(at + 1), true };
    case 0xdf: return (weir_each){ at + 5, weir__u32(at + 1), true };
    default: return none;
    }
}

static inline bool weir_next(weir_each *each, weir_value *key, weir_value *item)
{
    if (!each->left)
        return false;
    each->left--;
    key->at = each->has_keys ? each->at : NULL;
    item->at = each->has_keys ? weir__skip(each->at) : each->at;
    each->at = weir__skip(item->at);
    return true;
}

static inline size_t weir_length(weir_value value) { return weir_each_of(value).left; }

static inline weir_text weir_text_of(const char *ended_by_zero)
{
    const char *end = ended_by_zero;
    while (*end)
        end++;
    return weir__text((const uint8_t *)ended_by_zero, (size_t)(end - ended_by_zero));
}

static inline bool weir_same_text(weir_text text, weir_text other)
{
    if (text.length != other.length)
        return false;
    for (size_t i = 0; i < text.length; i++)
        if (text.at[i] != other.at[i])
            return false;
    return true;
}

/* The end of the first key of a path: at a dot or at the end. */
static inline const char *weir__key_end(const char *path)
{
    while (*path && *path != '.')
        path += path[0] == '\\' && path[1] ? 2 : 1;
    return path;
}

/* Whether a key is equal to the first key of a path. */
static inline bool weir__is_key(weir_text key, const char *path, const char *end)
{
    size_t i = 0;
    for (; path < end; path++, i++) {
        if (*path == '\\' && path + 1 < end)
            path++;
        if (i == key.length || key.at[i] != *path)
            return false;
    }
    return i == key.length;
}

/* The value below a map or list that the first key of a path selects. */
static inline weir_value weir__step(weir_value value, const char *path, const char *end)
{
    weir_each each = weir_each_of(value);
    const uint8_t *at = each.at;
    if (each.has_keys) {
        for (; each.left; each.left--) {
            weir_text key = weir_as_text((weir_value){ at });
            at = (const uint8_t *)key.at + key.length;
            if (weir__is_key(key, path, end))
                return (weir_value){ at };
            at = weir__skip(at);
        }
        return (weir_value){ NULL };
    }
    size_t index = 0;
    for (; path < end; path++) {
        if (*path < '0' || *path > '9' || index > 100000000)
            return (weir_value){ NULL };
        index = index * 10 + (size_t)(*path - '0');
    }
    if (index >= each.left)
        return (weir_value){ NULL };
    while (index--)
        at = weir__skip(at);
    return (weir_value){ at };
}

static inline weir_value weir_get(weir_value value, const char *path)
{
    for (;;) {
        const char *end = weir__key_end(path);
        value = weir__step(value, path, end);
        if (!*end || !value.at)
            return value;
        path = end + 1;
    }
}

/* ---- Records ------------------------------------------------------------------------------------------------------ */

#define WEIR__CHANGES 64

typedef struct {
    const char *path;
    size_t value, length; /* the offset in `values`; a length of zero removes */
} weir__change;

struct weir_record {
    weir_value whole;
    weir_buffer values;
    weir__change changes[WEIR__CHANGES]; /* by path */
    size_t change_count;
    bool is_new;      /* made by weir_another() */
    weir_text reason; /* of a failure */
};

static inline weir_value weir_whole(const weir_record *record) { return record->whole; }

static inline weir_value weir_field(const weir_record *record, const char *path)
{
    return weir_get(record->whole, path);
}

static inline int64_t weir_time_of(const weir_record *record) { return weir_as_integer(weir_field(record, "timestamp")); }

static inline weir_level weir_level_of(const weir_record *record)
{
    weir_text level = weir_as_text(weir_field(record, "level"));
    switch (level.length ? level.at[0] : 'I') {
    case 'T': return WEIR_TRACE;
    case 'D': return WEIR_DEBUG;
    case 'W': return WEIR_WARNING;
    case 'E': return WEIR_ERROR;
    case 'C': return WEIR_CRITICAL;
    default: return WEIR_INFO;
    }
}

static inline weir_text weir_source_of(const weir_record *record) { return weir_as_text(weir_field(record, "source")); }
static inline weir_text weir_message_of(const weir_record *record)
{
    return weir_as_text(weir_field(record, "message"));
}

static inline void weir__put_head(weir_buffer *out, uint8_t byte, uint64_t value, int bytes)
{
    weir__reserve(out, 9);
    out->at[out->length++] = byte;
    while (bytes--)
        out->at[out->length++] = (uint8_t)(value >> 8 * bytes);
}

static inline void weir__set_u32(uint8_t *at, uint32_t value)
{
    value = __builtin_bswap32(value);
    weir__copy(at, &value, 4);
}

static inline void weir__put_text_head(weir_buffer *out, size_t length)
{
    if (length < 32)
        weir__put_head(out, (uint8_t)(0xa0 | length), 0, 0);
    else if (length < 0x10000)
        weir__put_head(out, 0xda, length, 2);
    else
        weir__put_head(out, 0xdb, length, 4);
}

static inline void weir__put_text(weir_buffer *out, weir_text text)
{
    weir__put_text_head(out, text.length);
    weir_append(out, text.at, text.length);
}

/* The first key of a path, unescaped. */
static inline void weir__put_key(weir_buffer *out, const char *path, const char *end)
{
    size_t length = 0;
    for (const char *at = path; at < end; at++, length++)
        if (*at == '\\' && at + 1 < end)
            at++;
    weir__put_text_head(out, length);
    for (const char *at = path; at < end; at++) {
        if (*at == '\\' && at + 1 < end)
            at++;
        weir__byte(out, (uint8_t)*at);
    }
}

/* Compares two paths: below zero, zero, above zero, or 2 if one is a prefix of the other. */
static inline int weir__compare(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    if (*a == *b)
        return 0;
    if ((!*a && *b == '.') || (!*b && *a == '.'))
        return 2;
    return (uint8_t)*a < (uint8_t)*b ? -1 : 1;
}

/* Adds a slot for a change; its value is what is then appended to `values`. */
static inline weir__change *weir__change_at(weir_record *record, const char *path)
{
    weir_value there = record->whole;
    for (const char *key = path; there.at;) {
        const char *end = weir__key_end(key);
        there = weir__step(there, key, end);
        if (!*end)
            break;
        if (weir_kind_of(there) == WEIR_LIST)
            return NULL;
        key = end + 1;
    }
    size_t place = record->change_count;
    for (size_t i = 0; i < record->change_count; i++) {
        int order = weir__compare(path, record->changes[i].path);
        if (order == 2)
            return NULL;
        if (order == 0) {
            record->changes[i].value = record->values.length;
            return &record->changes[i];
        }
        if (order < 0) {
            place = i;
            break;
        }
    }
    if (record->change_count == WEIR__CHANGES)
        return NULL;
    for (size_t i = record->change_count++; i > place; i--)
        record->changes[i] = record->changes[i - 1];
    record->changes[place] = (weir__change){ path, record->values.length, 0 };
    return &record->changes[place];
}

static inline bool weir__changed(weir_record *record, weir__change *change)
{
    change->length = record->values.length - change->value;
    return true;
}

static inline bool weir_set_text(weir_record *record, const char *path, weir_text value)
{
    weir__change *change = weir__change_at(record, path);
    if (!change)
        return false;
    weir__put_text(&record->values, value);
    return weir__changed(record, change);
}

static inline bool weir_set_integer(weir_record *record, const char *path, int64_t value)
{
    weir__change *change = weir__change_at(record, path);
    if (!change)
        return false;
    if (value >= -32 && value < 128)
        weir__byte(&record->values, (uint8_t)value);
    else
        weir__put_head(&record->values, 0xd3, (uint64_t)value, 8);
    return weir__changed(record, change);
}

static inline bool weir_set_float(weir_record *record, const char *path, double value)
{
    weir__change *change = weir__change_at(record, path);
    if (!change)
        return false;
    uint64_t bits;
    weir__copy(&bits, &value, 8);
    weir__put_head(&record->values, 0xcb, bits, 8);
    return weir__changed(record, change);
}

static inline bool weir_set_boolean(weir_record *record, const char *path, bool value)
{
    weir__change *change = weir__change_at(record, path);
    if (!change)
        return false;
    weir__byte(&record->values, value ? 0xc3 : 0xc2);
    return weir__changed(record, change);
}

static inline bool weir_set_value(weir_record *record, const char *path, weir_value value)
{
    if (!value.at)
        return weir_remove(record, path);
    weir__change *change = weir__change_at(record, path);
    if (!change)
        return false;
    weir_append(&record->values, value.at, (size_t)(weir__skip(value.at) - value.at));
    return weir__changed(record, change);
}

static inline bool weir_remove(weir_record *record, const char *path)
{
    weir__change *change = weir__change_at(record, path);
    if (!change)
        return false;
    change->length = 0;
    if (weir_exists(weir_field(record, path)))
        return true;
    /* There is nothing to remove, and a patch would replace what is on the path with a map: take the slot away. */
    for (weir__change *last = record->changes + --record->change_count; change < last; change++)
        *change = change[1];
    return true;
}

static inline bool weir_set_level(weir_record *record, weir_level level)
{
    static const weir_text names[] = { WEIR_TEXT("TRACE"),   WEIR_TEXT("DEBUG"), WEIR_TEXT("INFO"),
                                       WEIR_TEXT("WARNING"), WEIR_TEXT("ERROR"), WEIR_TEXT("CRITICAL") };
    return weir_set_text(record, "level", names[level]);
}

static inline bool weir_set_message(weir_record *record, weir_text message)
{
    return weir_set_text(record, "message", message);
}

static inline bool weir_add_route(weir_record *record, weir_text label)
{
    weir_value routes = weir_field(record, "routes"), key, item;
    for (weir_each each = weir_each_of(routes); weir_next(&each, &key, &item);)
        if (weir_same_text(weir_as_text(item), label))
            return true;
    weir__change *change = weir__change_at(record, "routes");
    if (!change)
        return false;
    weir__put_head(&record->values, 0xdd, weir_length(routes) + 1, 4);
    for (weir_each each = weir_each_of(routes); weir_next(&each, &key, &item);)
        weir_append(&record->values, item.at, (size_t)(weir__skip(item.at) - item.at));
    weir__put_text(&record->values, label);
    return weir__changed(record, change);
}

/* Writes changes as a map, each path from `from` on. A patch has null for a removed key, a new record omits it. */
static inline void weir__put_changes(weir_record *record, size_t first, size_t last, size_t from, weir_buffer *out)
{
    size_t head = out->length;
    weir__put_head(out, 0xdf, 0, 4);
    uint32_t count = 0;
    for (size_t i = first; i < last;) {
        const weir__change *change = &record->changes[i];
        const char *key = change->path + from, *end = weir__key_end(key);
        if (!*end) {
            i++;
            if (!change->length && record->is_new)
                continue;
            count++;
            weir__put_key(out, key, end);
            if (change->length)
                weir_append(out, record->values.at + change->value, change->length);
            else
                weir__byte(out, 0xc0);
            continue;
        }
        size_t length = (size_t)(end - key) + 1, next = i + 1;
        while (next < last) {
            const char *other = record->changes[next].path + from;
            size_t same = 0;
            while (same < length && other[same] == key[same])
                same++;
            if (same < length)
                break;
            next++;
        }
        count++;
        weir__put_key(out, key, end);
        weir__put_changes(record, i, next, from + length, out);
        i = next;
    }
    weir__set_u32(out->at + head + 1, count);
}

/* The current record, the one that weir_another() makes, and how many it made. */
static weir_record weir__record, weir__next;
static uint32_t weir__made;
/* The output of a batch: verdicts and the maps that they refer to. */
static weir_buffer weir__verdicts, weir__maps;

static inline void weir__begin(weir_record *record, weir_value whole)
{
    record->whole = whole;
    record->change_count = 0;
    record->values.length = 0;
    record->is_new = !whole.at;
}

static inline void weir__write(weir_record *record)
{
    weir__put_changes(record, 0, record->change_count, 0, &weir__maps);
}

static inline weir_record *weir_another(weir_record *record)
{
    (void)record;
    if (weir__made++)
        weir__write(&weir__next);
    weir__begin(&weir__next, (weir_value){ NULL });
    return &weir__next;
}

#ifdef WEIR_HOLDING
/* The id of the current record, and the released ids. */
static uint64_t weir__id;
static weir_buffer weir__released;

static inline uint64_t weir_id_of(const weir_record *record)
{
    (void)record;
    return weir__id;
}

static inline void weir_release(uint64_t id) { weir_append(&weir__released, &id, sizeof id); }
#endif

static inline weir_verdict weir_fail(weir_record *record, weir_text reason)
{
    record->reason = reason;
    return WEIR_FAIL;
}

/* ---- Options: JSON, converted to MessagePack ---------------------------------------------------------------------- */

static weir_buffer weir__options;

static inline const char *weir__json_space(const char *at)
{
    while (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r')
        at++;
    return at;
}

static inline uint32_t weir__hex4(const char *at)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 4 | (uint32_t)(at[i] <= '9' ? at[i] - '0' : (at[i] | 32) - 'a' + 10);
    return value;
}

static inline void weir__put_utf8(weir_buffer *out, uint32_t c)
{
    if (c < 0x80) {
        weir__byte(out, (uint8_t)c);
        return;
    }
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    weir__byte(out, (uint8_t)((more == 1 ? 0xc0 : more == 2 ? 0xe0 : 0xf0) | c >> 6 * more));
    while (more--)
        weir__byte(out, (uint8_t)(0x80 | (c >> 6 * more & 63)));
}

static inline const char *weir__json_text(const char *at, weir_buffer *out)
{
    size_t head = out->length;
    weir__put_head(out, 0xdb, 0, 4);
    for (at++; *at != '"'; at++) {
        if (*at != '\\') {
            weir__byte(out, (uint8_t)*at);
            continue;
        }
        switch (*++at) {
        case 'b': weir__byte(out, '\b'); break;
        case 'f': weir__byte(out, '\f'); break;
        case 'n': weir__byte(out, '\n'); break;
        case 'r': weir__byte(out, '\r'); break;
        case 't': weir__byte(out, '\t'); break;
        case 'u': {
            uint32_t c = weir__hex4(at + 1);
            at += 4;
            if (c >= 0xd800 && c < 0xdc00 && at[1] == '\\' && at[2] == 'u') {
                c = 0x10000 + ((c - 0xd800) << 10) + (weir__hex4(at + 3) - 0xdc00);
                at += 6;
            }
            weir__put_utf8(out, c);
            break;
        }
        default: weir__byte(out, (uint8_t)*at);
        }
    }
    weir__set_u32(out->at + head + 1, (uint32_t)(out->length - head - 5));
    return at + 1;
}

static inline const char *weir__json_number(const char *at, weir_buffer *out)
{
    bool negative = *at == '-', is_float = false;
    uint64_t integer = 0;
    double number = 0;
    int exponent = 0;
    for (at += negative; *at >= '0' && *at <= '9'; at++) {
        integer = integer * 10 + (uint64_t)(*at - '0');
        number = number * 10 + (*at - '0');
    }
    if (*at == '.') {
        is_float = true;
        for (at++; *at >= '0' && *at <= '9'; at++, exponent--)
            number = number * 10 + (*at - '0');
    }
    if (*at == 'e' || *at == 'E') {
        is_float = true;
        int sign = *++at == '-' ? -1 : 1, power = 0;
        for (at += *at == '-' || *at == '+'; *at >= '0' && *at <= '9'; at++)
            power = power < 1000 ? power * 10 + (*at - '0') : power;
        exponent += sign * power;
    }
    if (!is_float) {
        weir__put_head(out, 0xd3, negative ? 0 - integer : integer, 8);
        return at;
    }
    for (; exponent > 0; exponent--)
        number *= 10;
    for (; exponent < 0; exponent++)
        number /= 10;
    number = negative ? -number : number;
    uint64_t bits;
    weir__copy(&bits, &number, 8);
    weir__put_head(out, 0xcb, bits, 8);
    return at;
}

/* Weir passes only valid JSON, of limited depth; here it is terminated by a zero. */
static inline const char *weir__json(const char *at, weir_buffer *out)
{
    at = weir__json_space(at);
    switch (*at) {
    case 'n': weir__byte(out, 0xc0); return at + 4;
    case 't': weir__byte(out, 0xc3); return at + 4;
    case 'f': weir__byte(out, 0xc2); return at + 5;
    case '"': return weir__json_text(at, out);
    case '{': case '[': break;
    default: return weir__json_number(at, out);
    }
    bool has_keys = *at == '{';
    char end = has_keys ? '}' : ']';
    size_t head = out->length;
    uint32_t count = 0;
    weir__put_head(out, has_keys ? 0xdf : 0xdd, 0, 4);
    for (at = weir__json_space(at + 1); *at != end; count++) {
        if (has_keys)
            at = weir__json_space(weir__json_text(at, out)) + 1;
        at = weir__json_space(weir__json(at, out));
        if (*at == ',')
            at = weir__json_space(at + 1);
    }
    weir__set_u32(out->at + head + 1, count);
    return at + 1;
}

static inline const char *weir__check_options(weir_value options, const char *const *names)
{
    weir_value key, item;
    for (weir_each each = weir_each_of(options); weir_next(&each, &key, &item);) {
        weir_text name = weir_as_text(key);
        const char *const *known = names;
        while (*known && !weir_same_text(name, weir_text_of(*known)))
            known++;
        if (*known)
            continue;
        static weir_buffer error;
        error.length = 0;
        weir_append(&error, "unknown option `", 16);
        weir_append(&error, name.at, name.length);
        weir_append(&error, "`; there is", 11);
        if (!*names)
            weir_append(&error, " none", 5);
        for (known = names; *known; known++) {
            weir_text one = weir_text_of(*known);
            weir_append(&error, " ", 1);
            weir_append(&error, one.at, one.length);
        }
        weir__byte(&error, 0);
        return (const char *)error.at;
    }
    return NULL;
}

/* ---- The contract: functions that Weir calls and offers, as the component model defines them ----------------------- */

#define WEIR__EXPORT(name) __attribute__((export_name(name), used))
#define WEIR__HOST(name) __attribute__((import_module("weir:filter/host@1.0.0"), import_name(name)))

/* The interfaces that a filter exports. The host interface is the same in both versions. */
#ifdef WEIR_HOLDING
#define WEIR__LIFECYCLE "weir:filter/lifecycle@2.0.0#"
#define WEIR__RECORDS "weir:filter/holding@2.0.0#"
#define WEIR__STATE "weir:filter/holding@2.0.0#"
#else
#define WEIR__LIFECYCLE "weir:filter/lifecycle@1.0.0#"
#define WEIR__RECORDS "weir:filter/packed@1.0.0#"
#define WEIR__STATE "weir:filter/packed-state@1.0.0#"
#endif

WEIR__HOST("log") void weir__host_log(int32_t level, const char *at, size_t length);
WEIR__HOST("counter") void weir__host_counter(const char *at, size_t length, int64_t add);
WEIR__HOST("now") int64_t weir__host_now(void);
WEIR__HOST("kv-get") void weir__host_kv_get(const char *at, size_t length, uint32_t *result);
WEIR__HOST("kv-set") void weir__host_kv_set(const char *at, size_t length, const char *value, size_t size, int64_t ttl);
WEIR__HOST("kv-add") int64_t weir__host_kv_add(const char *at, size_t length, int64_t add, int64_t ttl);
WEIR__HOST("kv-delete") void weir__host_kv_delete(const char *at, size_t length);

static inline void weir_log(weir_level level, weir_text line) { weir__host_log(level, line.at, line.length); }
static inline void weir_count(const char *counter, uint64_t add)
{
    weir_text name = weir_text_of(counter);
    weir__host_counter(name.at, name.length, (int64_t)add);
}
static inline int64_t weir_now(void) { return weir__host_now(); }
static inline bool weir_kv_get(weir_text key, weir_text *value)
{
    uint32_t result[3];
    weir__host_kv_get(key.at, key.length, result);
    *value = weir__text((const uint8_t *)result[1], result[0] & 1 ? result[2] : 0);
    return result[0] & 1;
}
static inline void weir_kv_set(weir_text key, weir_text value, uint64_t ttl_ms)
{
    weir__host_kv_set(key.at, key.length, value.at, value.length, (int64_t)ttl_ms);
}
static inline int64_t weir_kv_add(weir_text key, int64_t add, uint64_t ttl_ms)
{
    return weir__host_kv_add(key.at, key.length, add, (int64_t)ttl_ms);
}
static inline void weir_kv_delete(weir_text key) { weir__host_kv_delete(key.at, key.length); }

/* Memory for data that Weir passes during a call; reused after the call. Outgrown memory stays readable until then. */
static weir_buffer weir__room;

WEIR__EXPORT("cabi_realloc") void *weir__realloc(void *old, size_t old_size, size_t align, size_t size)
{
    weir__room.length = (weir__room.length + align - 1) / align * align;
    if (weir__room.length + size > weir__room.capacity) {
        weir__room.length = 0;
        weir__reserve(&weir__room, weir__room.capacity * 2 > size ? weir__room.capacity * 2 : size);
    }
    uint8_t *at = weir__room.at + weir__room.length;
    weir__room.length += size;
    if (old)
        weir__copy(at, old, old_size < size ? old_size : size);
    return at;
}

static uint32_t weir__result[10];

static inline uint32_t *weir__answer(weir_text error)
{
    weir__result[0] = error.at != NULL;
    weir__result[1] = (uint32_t)error.at;
    weir__result[2] = error.length;
    return weir__result;
}

static inline uint32_t *weir__answer_string(const char *error)
{
    return weir__answer(error ? weir_text_of(error) : weir__text(NULL, 0));
}

WEIR__EXPORT(WEIR__LIFECYCLE "describe") uint32_t *weir__describe(void)
{
    for (int i = 0; i < 3; i++) {
        weir__result[2 * i] = (uint32_t)weir__about[i].at;
        weir__result[2 * i + 1] = weir__about[i].length;
    }
    /* It reads and may change all fields. */
    for (int i = 6; i < 10; i++)
        weir__result[i] = 0;
    return weir__result;
}

WEIR__EXPORT(WEIR__LIFECYCLE "configure") uint32_t *weir__configure(const char *json, size_t length)
{
    static weir_buffer text;
    text.length = weir__options.length = 0;
    weir_append(&text, json, length);
    weir__byte(&text, 0);
    weir__json((const char *)text.at, &weir__options);
    weir__room.length = 0;
    return weir__answer_string(weir_configure((weir_value){ weir__options.at }));
}

WEIR__EXPORT(WEIR__RECORDS "encoding") int32_t weir__encoding(void) { return 0; /* MessagePack */ }

/* A verdict with this number of maps. */
static inline void weir__counted(uint8_t verdict, uint32_t count)
{
    weir__byte(&weir__verdicts, verdict);
    weir_append(&weir__verdicts, &count, sizeof count);
}

/* Processes one record; false if the filter failed. */
static inline bool weir__decide(void)
{
    weir_record *record = &weir__record;
    weir__made = 0;
    switch (weir_process(record)) {
    case WEIR_KEEP:
        weir__byte(&weir__verdicts, record->change_count ? 2 : 0);
        if (record->change_count)
            weir__write(record);
        return true;
    case WEIR_REPLACE:
        if (weir__made)
            weir__write(&weir__next);
        weir__counted(4, weir__made);
        return true;
#ifdef WEIR_HOLDING
    case WEIR_HOLD:
        if (weir__made)
            weir__write(&weir__next);
        weir__counted(5, weir__made);
        return true;
    case WEIR_HOLD_ANOTHER:
        if (!weir__made) {
            weir_fail(record, WEIR_TEXT("WEIR_HOLD_ANOTHER without weir_another()"));
            return false;
        }
        weir__write(&weir__next);
        weir__counted(6, weir__made - 1);
        return true;
#endif
    case WEIR_DROP:
        weir__byte(&weir__verdicts, 1);
        return true;
    default:
        return false;
    }
}

/* Processes all records of a batch; false if the filter failed on one. */
static inline bool weir__decide_all(const uint8_t *batch, size_t length, const uint64_t *ids)
{
    const uint8_t *end = batch + length;
    weir__verdicts.length = weir__maps.length = 0;
    bool decided = true;
    while (batch < end && decided) {
        weir__begin(&weir__record, (weir_value){ batch });
        batch = weir__skip(batch);
#ifdef WEIR_HOLDING
        weir__id = *ids++;
#endif
        decided = weir__decide();
    }
    (void)ids;
    weir__room.length = 0;
    return decided;
}

static inline uint32_t *weir__answer_batch(void)
{
    weir__result[0] = 0;
    weir__result[1] = (uint32_t)weir__verdicts.at;
    weir__result[2] = weir__verdicts.length;
    weir__result[3] = (uint32_t)weir__maps.at;
    weir__result[4] = weir__maps.length;
    return weir__result;
}

#ifdef WEIR_HOLDING
/* Writes the released ids to a result. */
static inline void weir__answer_released(int at)
{
    weir__result[at] = (uint32_t)weir__released.at;
    weir__result[at + 1] = weir__released.length / sizeof(uint64_t);
}

WEIR__EXPORT(WEIR__RECORDS "process")
uint32_t *weir__process(const uint8_t *batch, size_t length, const uint64_t *ids, size_t count)
{
    (void)count;
    weir__released.length = 0;
    if (!weir__decide_all(batch, length, ids))
        return weir__answer(weir__record.reason);
    weir__answer_released(5);
    return weir__answer_batch();
}
#else
WEIR__EXPORT(WEIR__RECORDS "process") uint32_t *weir__process(const uint8_t *batch, size_t length)
{
    return weir__decide_all(batch, length, NULL) ? weir__answer_batch() : weir__answer(weir__record.reason);
}
#endif

#ifdef WEIR_STATEFUL
static inline uint32_t *weir__answer_bytes(const weir_buffer *bytes)
{
    weir__room.length = 0;
    weir__result[0] = (uint32_t)bytes->at;
    weir__result[1] = bytes->length;
    return weir__result;
}

WEIR__EXPORT(WEIR__STATE "tick") uint32_t *weir__tick(int32_t closing)
{
    weir__maps.length = 0;
    weir__made = 0;
    weir__begin(&weir__record, (weir_value){ NULL });
#ifdef WEIR_HOLDING
    weir__released.length = 0;
#endif
    weir_tick(closing, &weir__record);
    if (weir__made)
        weir__write(&weir__next);
#ifdef WEIR_HOLDING
    weir__answer_released(2);
#endif
    return weir__answer_bytes(&weir__maps);
}

WEIR__EXPORT(WEIR__STATE "save") uint32_t *weir__save(void)
{
    static weir_buffer state;
    state.length = 0;
    weir_save(&state);
    return weir__answer_bytes(&state);
}

WEIR__EXPORT(WEIR__STATE "restore") uint32_t *weir__restore(const uint8_t *state, size_t length)
{
    const char *error = weir_restore(state, length);
    weir__room.length = 0;
    return weir__answer_string(error);
}
#endif

#endif
