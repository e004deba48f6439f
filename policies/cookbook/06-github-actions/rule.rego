package policy.deny.team

import rego.v2

# METADATA
# title: Deployments come from the main branch of one repository
# custom:
#   id: github.workflow
deny contains {
	"code": "github.workflow",
	"msg": "only workflows of octo-org/app on its main branch may deploy",
	"audience": "agent",
	"rule": "github.workflow",
} if {
	"deploy" in input.resource.ancestors
	not trusted
}

trusted if {
	input.principal.claims.repository == "octo-org/app"
	input.principal.claims.ref == "refs/heads/main"
}
