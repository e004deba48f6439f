// Counts the members of a result that are empty texts, and says so when there are more
// than a handful: what stands in nobody's way, and should not stand in a secret either.
// It changes nothing. In the manifest: logs: true, counters: [empty].
#include "../include/guest.h"
#include "../include/voice.h"

static u32 configure(span conf) {
	(void)conf;
	return OK;
}

static u32 transform_payload(u32 hook, span meta, span payload) {
	(void)hook, (void)meta;
	u32 found = 0;
	for (u32 i = 0; i + 2 < payload.n; i++)
		found += payload.p[i] == ':' && payload.p[i + 1] == '"' && payload.p[i + 2] == '"';
	host_count((const u8 *)"empty", 5, found);
	static const char many[] = "more than four members are empty";
	if (found > 4)
		host_log(LEVEL_WARNING, (const u8 *)many, sizeof many - 1);
	return OK;
}
