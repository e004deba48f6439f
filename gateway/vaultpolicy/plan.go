package vaultpolicy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Plan is what Vault is told: an auth method, and writes that may be repeated.
type Plan struct {
	Mount       string // of the auth method, below auth/
	Type        string // of the auth method
	Description string
	Steps       []Step   // with Placeholder where the auth method's accessor belongs
	Notes       []string // lines that say what the plan lacks, or has beyond what is granted
	After       []string // commands that fetch what the gateway logs in with; none is needed
}

// Step is one write to Vault.
type Step struct {
	Path string
	Body map[string]any
}

func policyStep(name string, r Rules) Step {
	return Step{"sys/policies/acl/" + name, map[string]any{"policy": r.HCL()}}
}

// body is what is written, with what stands for the accessor in its place.
func (s Step) body(accessor string) (string, error) {
	raw, err := json.Marshal(s.Body)
	return strings.ReplaceAll(string(raw), Placeholder, accessor), err
}

// Print writes the plan as its policies (hcl), as commands of Vault's CLI (cli), or as
// resources of Terraform's Vault provider (terraform), with its notes as comments in front.
func (p Plan) Print(form string) (string, error) {
	var b strings.Builder
	for _, line := range p.Notes {
		b.WriteString("# " + line + "\n")
	}
	text, err := p.print(form)
	return b.String() + text, err
}

func (p Plan) print(form string) (string, error) {
	switch form {
	case "hcl":
		var b strings.Builder
		for _, step := range p.Steps {
			if name, ok := strings.CutPrefix(step.Path, "sys/policies/acl/"); ok {
				fmt.Fprintf(&b, "# policy %s\n%s\n", name, step.Body["policy"])
			}
		}
		return b.String(), nil
	case "cli":
		return p.commands()
	case "terraform":
		return p.terraform()
	}
	return "", errors.New("--print is one of hcl, cli and terraform")
}

func (p Plan) commands() (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "vault auth enable -path=%s %s\n%s=$(vault read -field=accessor sys/auth/%s)\n", p.Mount, p.Type, Placeholder, p.Mount)
	for _, step := range p.Steps {
		raw, err := step.body("${" + Placeholder + "}")
		if err != nil {
			return "", err
		}
		quoted := strings.ReplaceAll(raw, `'`, `'\''`)
		quoted = strings.ReplaceAll(quoted, "${"+Placeholder+"}", `'"${`+Placeholder+`}"'`)
		fmt.Fprintf(&b, "printf '%%s' '%s' | vault write %s -\n", quoted, step.Path)
	}
	for _, line := range p.After {
		b.WriteString(line + "\n")
	}
	return b.String(), nil
}

func (p Plan) terraform() (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "resource \"vault_auth_backend\" \"gateway\" {\n  type        = %q\n  path        = %q\n  description = %q\n}\n", p.Type, p.Mount, p.Description)
	for i, step := range p.Steps {
		raw, err := step.body("${vault_auth_backend.gateway.accessor}")
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "\nresource \"vault_generic_endpoint\" \"gateway_%d\" {\n  path                 = %q\n  ignore_absent_fields = true\n", i, step.Path)
		if strings.HasSuffix(step.Path, "/config") {
			b.WriteString("  disable_delete       = true\n")
		}
		fmt.Fprintf(&b, "  data_json            = jsonencode(%s)\n  depends_on           = [vault_auth_backend.gateway]\n}\n", raw)
	}
	return b.String(), nil
}
