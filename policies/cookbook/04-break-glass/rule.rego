package policy.deny.team

import rego.v2

# METADATA
# title: Production is opened with a ticket alone
# description: >-
#   The caller states the ticket (X-Portcullis-Reason, _meta portcullis/reason) and nobody
#   checks it, so it opens nothing by itself: the role does. The ticket is on record with
#   every call.
# custom:
#   id: glass.ticket
deny contains {
	"code": "glass.ticket",
	"msg": "say which incident it is for, as INC-1234, in X-Portcullis-Reason or in _meta portcullis/reason",
	"audience": "agent",
	"rule": "glass.ticket",
} if {
	"shared/prod" in input.resource.ancestors
	not regex.match(`^INC-[0-9]+( |$)`, input.request.reason)
}
