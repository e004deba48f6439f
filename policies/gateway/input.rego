package gateway

import rego.v2

# METADATA
# description: >-
#   The gateway always sends a whole and typed input. That is checked here once
#   more, so that no rule can be skipped by a field that is missing: the pattern
#   fails unless every field is there and no other is, and concat and sum are
#   errors, which deny, when an element is not a string or not a number.
# custom:
#   id: gateway.well_formed
well_formed if {
	input = {
		"v": 1,
		"request": {"id": id, "transport": transport, "phase": phase},
		"principal": {
			"id": subject_id, "kind": kind, "tenant": tenant, "issuer": issuer,
			"prefix": prefix, "tier": tier_asked, "roles": roles, "scopes": scopes,
			"on_behalf_of": actor,
			"auth": {"method": method, "age_s": age_s, "cert_fp": cert_fp},
		},
		"action": {"op": operation, "engine": engine, "effect": effect, "public": public},
		"resource": {"mount": mount, "path": path, "ancestors": ancestors, "version": version},
		"args": {"keys": keys, "bytes": bytes, "values": values},
		"context": {
			"time": {"unix_s": unix_s, "weekday": weekday, "hour_utc": hour_utc},
			"source_ip": source_ip,
		},
	}
	is_string(concat("", [
		id, transport, phase, subject_id, kind, tenant, issuer, prefix, tier_asked, method,
		cert_fp, operation, engine, effect, mount, path, weekday, source_ip,
	]))
	is_string(concat("", array.concat(array.concat(roles, scopes), array.concat(ancestors, keys))))
	is_number(sum([age_s, version, bytes, unix_s, hour_utc]))
	is_boolean(public)
	is_object(values)
	actor_typed(actor)
	subject_id != ""
}

# METADATA
# custom:
#   id: gateway.actor_typed.null
actor_typed(actor) if actor == null

# METADATA
# custom:
#   id: gateway.actor_typed
actor_typed(actor) if is_string(actor.id)
