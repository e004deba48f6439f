// mask replaces the values that the decision names, whatever their type, by one
// fixed text.
//
// Arguments: {"pointers": [...], "keys": [...], "with": "[masked]"}. Without
// pointers and keys it masks every scalar value.
#include "../include/select.h"

static span with;

static u32 configure(span conf) {
	(void)conf;
	return OK;
}

static void mask(span value) {
	(void)value;
	put(with);
}

static u32 transform_payload(u32 hook, span meta, span payload) {
	(void)hook;
	read_arguments(meta);
	with = arguments[WITH];
	if (with.n < 2 || with.p[0] != '"')
		with = SPAN("\"[masked]\"");
	return edit_document(payload, mask);
}
