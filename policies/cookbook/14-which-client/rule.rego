package policy.deny.team

import rego.v2

# METADATA
# title: Credentials are issued to the programs that were reviewed
# description: >-
#   The client names itself (User-Agent, clientInfo of MCP), so this keeps the careless
#   away and nobody else. For more, have the identity provider put client_id into the
#   token and name it in JWT_CLAIMS_TO_POLICY.
# custom:
#   id: client.reviewed
deny contains {
	"code": "client.reviewed",
	"msg": "use a program that was reviewed for this",
	"audience": "agent",
	"rule": "client.reviewed",
} if {
	input.action.effect == "issue"
	not reviewed
}

reviewed if data.team.team.clients[input.context.client.name]
