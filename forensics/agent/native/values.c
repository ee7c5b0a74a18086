/* The values of strings, bytes and numbers, as they stand in memory. */
#include "layout.h"
#include "structures.h"

#include <stdio.h>
#include <string.h>

#define TEXT_ROOM 2048

static int
put(struct walk *w, PyObject *object, uint64_t length, enum value_kind kind, const void *bytes, size_t n)
{
    char *record = array_extend(w, &w->blocks[BLOCK_VALUES], sizeof(struct value_record) + n);
    *(struct value_record *)record = (struct value_record){
        .address = (uint64_t)(uintptr_t)object, .length = length, .n = (uint32_t)n, .kind = (uint8_t)kind};
    memcpy(record + sizeof(struct value_record), bytes, n);
    w->counts[BLOCK_VALUES]++;
    return 0;
}

static const void *
str_data(PyObject *text)
{
    PyASCIIObject *ascii = (PyASCIIObject *)text;
    if (!ascii->state.compact) {
        return ((PyUnicodeObject *)text)->data.any;
    }
    return ascii->state.ascii ? (void *)(ascii + 1) : (void *)((PyCompactUnicodeObject *)text + 1);
}

static int
put_str(struct walk *w, PyObject *text)
{
    size_t length = (size_t)((PyASCIIObject *)text)->length, kind = ((PyASCIIObject *)text)->state.kind;
    const void *data = str_data(text);
    if (data == NULL || kind == 0) {
        return 0;
    }
    size_t n = length * kind > VALUE_LIMIT ? VALUE_LIMIT / kind : length;
    put(w, text, length, (enum value_kind)kind, data, n * kind);
    return n < length;
}

/* UTF-8 of at most ``room`` bytes; surrogates stand as a question mark. */
size_t
unicode_utf8(PyObject *text, char *out, size_t room)
{
    size_t length = (size_t)((PyASCIIObject *)text)->length, used = 0;
    int kind = (int)((PyASCIIObject *)text)->state.kind;
    const void *data = str_data(text);
    for (size_t i = 0; data != NULL && i < length && used + 4 <= room; i++) {
        uint32_t c = kind == 1 ? ((uint8_t *)data)[i] : kind == 2 ? ((uint16_t *)data)[i] : ((uint32_t *)data)[i];
        if (c < 0x80) {
            out[used++] = (char)c;
        }
        else if (c < 0x800) {
            out[used++] = (char)(0xc0 | c >> 6);
            out[used++] = (char)(0x80 | (c & 0x3f));
        }
        else if (c >= 0xd800 && c < 0xe000) {
            out[used++] = '?';
        }
        else if (c < 0x10000) {
            out[used++] = (char)(0xe0 | c >> 12);
            out[used++] = (char)(0x80 | (c >> 6 & 0x3f));
            out[used++] = (char)(0x80 | (c & 0x3f));
        }
        else {
            out[used++] = (char)(0xf0 | c >> 18);
            out[used++] = (char)(0x80 | (c >> 12 & 0x3f));
            out[used++] = (char)(0x80 | (c >> 6 & 0x3f));
            out[used++] = (char)(0x80 | (c & 0x3f));
        }
    }
    return used;
}

/* Decimal text by long division, 9 digits at a time; 110 digits of 30 bits make at most 994 decimal ones. */
#define INT_DIGITS 110

static int
put_int(struct walk *w, PyObject *number)
{
    size_t n;
    int negative;
    const digit *digits = int_digits(number, &n, &negative);
    if (n > INT_DIGITS) {
        return put(w, number, 0, VALUE_INT, "", 0) + 1;
    }
    uint32_t rest[INT_DIGITS];
    for (size_t i = 0; i < n; i++) {
        rest[i] = digits[i];
    }
    char text[TEXT_ROOM];
    size_t at = sizeof text;
    do {
        uint64_t remainder = 0;
        for (size_t i = n; i-- > 0;) {
            uint64_t value = remainder << PyLong_SHIFT | rest[i];
            rest[i] = (uint32_t)(value / 1000000000);
            remainder = value % 1000000000;
        }
        while (n > 0 && rest[n - 1] == 0) {
            n--;
        }
        for (int i = 0; i < 9 && (n > 0 || remainder > 0 || i == 0); i++) {
            text[--at] = (char)('0' + remainder % 10);
            remainder /= 10;
        }
    } while (n > 0);
    if (negative) {
        text[--at] = '-';
    }
    return put(w, number, sizeof text - at, VALUE_INT, text + at, sizeof text - at);
}

/* The text that str(Decimal) gives (General Decimal Arithmetic, "to-scientific-string"). */
size_t
decimal_text(PyObject *decimal, char *out, size_t room, int *cut)
{
    struct decimal_object *d = (struct decimal_object *)decimal;
    size_t used = 0;
    *cut = 0;
    if (d->flags & DECIMAL_NEGATIVE) {
        out[used++] = '-';
    }
    if (d->flags & (DECIMAL_INFINITE | DECIMAL_NAN | DECIMAL_SIGNALLING)) {
        const char *name = d->flags & DECIMAL_INFINITE ? "Infinity" : d->flags & DECIMAL_NAN ? "NaN" : "sNaN";
        size_t n = strlen(name);
        memcpy(out + used, name, n);
        return used + n;
    }
    if (d->digits > 950 || d->digits <= 0 || d->length <= 0 || (size_t)d->digits + 64 > room) {
        *cut = 1;
        return 0;
    }
    char digits[1024];
    for (Py_ssize_t i = 0; i < d->digits; i++) { /* i counts from the least significant digit */
        uint64_t word = d->words[i / DECIMAL_WORD_DIGITS];
        for (Py_ssize_t k = i % DECIMAL_WORD_DIGITS; k > 0; k--) {
            word /= 10;
        }
        digits[d->digits - 1 - i] = (char)('0' + word % 10);
    }
    Py_ssize_t adjusted = d->exponent + d->digits - 1;
    if (d->exponent <= 0 && adjusted >= -6) {
        Py_ssize_t point = d->digits + d->exponent; /* digits before the point */
        if (point <= 0) {
            out[used++] = '0';
            out[used++] = '.';
            for (; point < 0; point++) {
                out[used++] = '0';
            }
            memcpy(out + used, digits, (size_t)d->digits);
            return used + (size_t)d->digits;
        }
        memcpy(out + used, digits, (size_t)point);
        used += (size_t)point;
        if (d->exponent < 0) {
            out[used++] = '.';
            memcpy(out + used, digits + point, (size_t)(d->digits - point));
            used += (size_t)(d->digits - point);
        }
        return used;
    }
    out[used++] = digits[0];
    if (d->digits > 1) {
        out[used++] = '.';
        memcpy(out + used, digits + 1, (size_t)d->digits - 1);
        used += (size_t)d->digits - 1;
    }
    used += (size_t)snprintf(out + used, room - used, "E%+lld", (long long)adjusted);
    return used;
}

int
output_value(struct walk *w, struct type_facts *facts, PyObject *object)
{
    if (!w->values) {
        /* Names of attributes and variables are interned by the interpreter; they are code, not data. */
        if (facts->kind == KIND_STR && ((PyASCIIObject *)object)->state.interned) {
            put_str(w, object);
        }
        return 0;
    }
    switch (facts->kind) {
    case KIND_STR:
        return put_str(w, object);
    case KIND_BYTES: {
        size_t n = (size_t)Py_SIZE(object);
        put(w, object, n, VALUE_BYTES, ((PyBytesObject *)object)->ob_sval, n > VALUE_LIMIT ? VALUE_LIMIT : n);
        return n > VALUE_LIMIT;
    }
    case KIND_INT:
        return put_int(w, object);
    case KIND_FLOAT:
        return put(w, object, sizeof(double), VALUE_FLOAT, &((PyFloatObject *)object)->ob_fval, sizeof(double));
    case KIND_DECIMAL: {
        char text[TEXT_ROOM];
        int cut;
        size_t n = decimal_text(object, text, sizeof text, &cut);
        put(w, object, n, VALUE_DECIMAL, text, n);
        return cut;
    }
    default:
        return 0;
    }
}
