package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"portcullis/gateway/e2e"
)

// TestTheTutorialIsWhatIsRun: every command of the policy tutorial is one of the script
// that TestScripts runs.
func TestTheTutorialIsWhatIsRun(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(e2e.Root(t), "gateway", "docs", "policy-tutorial.md"))
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("testdata/policy_tutorial.txt")
	if err != nil {
		t.Fatal(err)
	}
	run := strings.ReplaceAll(string(script), `"$ROOT/bin/portcullis"`, "portcullis")
	commands := regexp.MustCompile(`(?m)^\$ (.*)$`).FindAllStringSubmatch(string(page), -1)
	if len(commands) < 10 {
		t.Fatalf("the page has %d commands", len(commands))
	}
	for _, c := range commands {
		if !strings.Contains(run, c[1]) {
			t.Errorf("%s is not run", c[1])
		}
	}
}
