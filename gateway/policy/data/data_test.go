package data_test

import (
	"slices"
	"testing"

	"portcullis/gateway/policy/data"
)

// sample is a file's data with an entry of each kind, and some of wrong types.
func sample() data.Data {
	return data.Of(map[string]any{
		"version": 2.0, "zone": "Europe/Berlin",
		"masks": []any{"input.context.source_ip", 3.0}, "unmasked": []any{"args.values.ttl"},
		"grants": map[string]any{"subjects": map[string]any{"bot": map[string]any{
			"tier":    "gold",
			"kv":      map[string]any{"team/a+b": map[string]any{"ops": []any{"kv.read"}, "expires_s": 2e9}, "app": nil},
			"transit": map[string]any{"key": map[string]any{"transforms": []any{map[string]any{"name": "base64"}}}},
		}}},
		"tenants": map[string]any{"acme": map[string]any{
			"subjects": "none",
			"roles":    map[string]any{"dev": map[string]any{"db": map[string]any{"ro": map[string]any{"ops": []any{}}}}},
		}},
		"teams":       map[string]any{"pay": map[string]any{"owns": map[string]any{"kv": []any{"cards"}}}},
		"tiers":       map[string]any{"gold": map[string]any{"requests": 10.0, "window_s": 1.0, "cost": map[string]any{"kv.list": 2.0}}},
		"obligations": map[string]any{"kv.read": map[string]any{"deliver": "wrapped"}},
	})
}

func TestGrants(t *testing.T) {
	var at []string
	for g := range sample().Grants() {
		at = append(at, g.At())
	}
	want := []string{
		"grants.subjects.bot.kv.app", `grants.subjects.bot.kv."team/a+b"`, "grants.subjects.bot.transit.key", "tenants.acme.roles.dev.db.ro",
	}
	if !slices.Equal(at, want) {
		t.Errorf("got %q", at)
	}
}

// TestTermsOfAGrant: a grant without operations is for all of its engine, one with an
// empty list for none.
func TestTermsOfAGrant(t *testing.T) {
	covers := map[string][3]bool{}
	for g := range sample().Grants() {
		covers[g.Name] = [3]bool{g.Covers(g.Engine + ".read"), g.Covers(g.Engine + ".list"), g.Ended(2e9)}
	}
	for name, want := range map[string][3]bool{"app": {true, true, false}, "team/a+b": {true, false, true}, "key": {true, true, false}, "ro": {}} {
		if covers[name] != want {
			t.Errorf("%s: reads, lists, ended: got %v, want %v", name, covers[name], want)
		}
	}
}

func TestSettings(t *testing.T) {
	d := sample()
	tiers, err := d.Tiers()
	if err != nil || tiers["gold"].Burst != 10 || !slices.Equal(d.Costs("gold"), []string{"kv.list"}) {
		t.Errorf("tiers: %v, %v, %v", tiers, d.Costs("gold"), err)
	}
	if tier, ok := d.Table("").Holder(data.Subjects, "bot").Tier(); ok {
		t.Errorf("the table of the tenant \"\" is the file's own grants: got %q", tier)
	}
	if d.Version() != 2 || d.Zone() != "Europe/Berlin" || !slices.Equal(d.Masks(), []string{"context.source_ip"}) || !slices.Equal(d.Owned()["pay"]["kv"], []string{"cards"}) {
		t.Error("a setting is read wrongly")
	}
	if empty := (data.Data{}); empty.Version() != 1 || len(slices.Collect(empty.Grants())) > 0 || empty.Tenants() != nil {
		t.Error("empty data say something")
	}
}

// TestGranting: data of one grant hold that one.
func TestGranting(t *testing.T) {
	for g := range sample().Grants() {
		all := slices.Collect(data.Granting(g).Grants())
		if len(all) != 1 || all[0].At() != g.At() {
			t.Errorf("%s: got %v", g.At(), all)
		}
	}
}
