package policy.deny.team

import rego.v2

# METADATA
# title: Every agent between a person and the gateway is a known one
# custom:
#   id: chain.unknown
deny contains {
	"code": "chain.unknown",
	"msg": "an agent in the chain of those who act is not known here",
	"audience": "agent",
	"rule": "chain.unknown",
} if {
	some actor in input.principal.actors
	not known(actor.id)
}

known(id) if data.team.team.agents[id]

# METADATA
# title: Nobody acts at second hand for somebody who is no person
# custom:
#   id: chain.long
deny contains {
	"code": "chain.long",
	"msg": "two agents in a row may act for people alone",
	"audience": "agent",
	"rule": "chain.long",
} if {
	count(input.principal.actors) > 1
	input.principal.on_behalf_of.kind != "human"
}
