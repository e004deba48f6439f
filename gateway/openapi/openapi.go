// Package openapi describes the REST interface as an OpenAPI 3.1 document that is
// made from the catalogue: an operation that exists is described, and nothing else.
package openapi

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"portcullis/gateway/op"
)

// Document is an OpenAPI document (spec.openapis.org/oas/v3.1.1), as far as the
// gateway needs one.
type Document struct {
	OpenAPI    string                          `json:"openapi"`
	Info       info                            `json:"info"`
	Servers    []server                        `json:"servers"`
	Security   []map[string][]string           `json:"security"`
	Tags       []tag                           `json:"tags"`
	Paths      map[string]map[string]operation `json:"paths"`
	Components components                      `json:"components"`
}

type info struct {
	Title       string `json:"title"`
	Version     string `json:"version"`
	Description string `json:"description"`
}

type server struct {
	URL string `json:"url"`
}

type tag struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

type operation struct {
	ID          string              `json:"operationId"`
	Tags        []string            `json:"tags"`
	Summary     string              `json:"summary"`
	Description string              `json:"description"`
	Parameters  []parameter         `json:"parameters,omitempty"`
	Body        *body               `json:"requestBody,omitempty"`
	Responses   map[string]response `json:"responses"`
	Effect      op.Effect           `json:"x-effect,omitempty"`
	Destructive bool                `json:"x-destructive"`
}

type parameter struct {
	Ref         string             `json:"$ref,omitempty"`
	Name        string             `json:"name,omitempty"`
	In          string             `json:"in,omitempty"`
	Required    bool               `json:"required,omitempty"`
	Description string             `json:"description,omitempty"`
	Schema      *jsonschema.Schema `json:"schema,omitempty"`
}

type body struct {
	Required bool             `json:"required"`
	Content  map[string]media `json:"content"`
}

type media struct {
	Schema *jsonschema.Schema `json:"schema"`
}

type response struct {
	Ref         string            `json:"$ref,omitempty"`
	Description string            `json:"description,omitempty"`
	Headers     map[string]header `json:"headers,omitempty"`
	Content     map[string]media  `json:"content,omitempty"`
}

type header struct {
	Ref         string             `json:"$ref,omitempty"`
	Description string             `json:"description,omitempty"`
	Schema      *jsonschema.Schema `json:"schema,omitempty"`
}

type components struct {
	Schemas         map[string]*jsonschema.Schema `json:"schemas"`
	Parameters      map[string]parameter          `json:"parameters"`
	Headers         map[string]header             `json:"headers"`
	Responses       map[string]response           `json:"responses"`
	SecuritySchemes map[string]map[string]string  `json:"securitySchemes"`
}

// New describes the operations that keep returns true for; a nil keep keeps all.
func New(c *op.Catalogue, keep func(*op.Op) bool) Document {
	d := skeleton()
	engines := map[string]bool{}
	for _, o := range c.All() {
		if o.Path == "" || keep != nil && !keep(o) {
			continue
		}
		path, param := Template(o.Path)
		d.add(path, o.Method, describe(o, param))
		if o.FullPath != "" {
			path, _ = Template(o.FullPath)
			d.add(path, o.Method, describeFull(o))
		}
		engines[o.Engine] = true
	}
	describeEvents(d.Paths)
	engines[tagEvents] = true
	d.Tags = slices.DeleteFunc(d.Tags, func(t tag) bool { return !engines[t.Name] })
	return d
}

func lower(method string) string { return strings.ToLower(method) }

func (d Document) add(path, method string, o operation) {
	if d.Paths[path] == nil {
		d.Paths[path] = map[string]operation{}
	}
	d.Paths[path][lower(method)] = o
}

// describeFull is the operation on a path that need not be the caller's own.
func describeFull(o *op.Op) operation {
	param := "path"
	if o.In.Properties[param] == nil {
		param = "prefix"
	}
	d := describe(o, param)
	d.ID += ".full"
	d.Summary += " by its full path"
	full := parameter{
		Name: "path", In: "path", Required: true, Schema: &jsonschema.Schema{Type: "string"},
		Description: "the mount and the full path below it; its slashes are written as they are, or as %2F",
	}
	d.Parameters = append([]parameter{full}, slices.DeleteFunc(d.Parameters, func(p parameter) bool { return p.Name == param })...)
	return d
}

// JSON returns the document; equal documents give equal bytes.
func (d Document) JSON() ([]byte, error) { return json.MarshalIndent(d, "", "  ") }

// Template turns a route of the catalogue into a path of OpenAPI and names its
// parameter, if there is one.
func Template(route string) (path, param string) {
	i := strings.IndexAny(route, "*:")
	if i < 0 {
		return route, ""
	}
	param, verb, found := strings.Cut(route[i+1:], ":")
	if found {
		verb = ":" + verb
	} else if name, ok := strings.CutSuffix(param, "/"); ok {
		param, verb = name, "/"
	}
	return route[:i] + "{" + param + "}" + verb, param
}

func describe(o *op.Op, param string) operation {
	d := operation{
		ID: o.Name, Tags: []string{o.Engine}, Summary: o.Title, Description: o.Doc,
		Effect: o.Effect, Destructive: o.Replaces, Responses: responses(o),
	}
	if param != "" {
		p := newParameter(o, param, "path")
		if strings.Contains(o.Path, "*") {
			p.Description += "; its slashes are written as they are, or as %2F"
		}
		d.Parameters = append(d.Parameters, p)
	}
	if o.Method == http.MethodGet || o.Method == http.MethodDelete {
		for _, name := range slices.Sorted(maps.Keys(o.In.Properties)) {
			if name != param && name != o.Headers {
				d.Parameters = append(d.Parameters, newParameter(o, name, "query"))
			}
		}
		d.Parameters = append(d.Parameters, askingHeaders(o)...)
		return d
	}
	d.Parameters = append(d.Parameters, askingHeaders(o)...)
	if in := without(o.In, param); len(in.Properties) > 0 {
		d.Body = &body{Required: len(in.Required) > 0, Content: jsonContent(in)}
	}
	return d
}

func newParameter(o *op.Op, name, where string) parameter {
	s := open(o.In.Properties[name])
	p := parameter{Name: name, In: where, Description: s.Description, Schema: s}
	p.Required = where == "path" || slices.Contains(o.In.Required, name)
	s.Description = ""
	return p
}

// without is a schema without one of its properties.
func without(s *jsonschema.Schema, name string) *jsonschema.Schema {
	s = open(s)
	delete(s.Properties, name)
	is := func(n string) bool { return n == name }
	s.Required = slices.DeleteFunc(slices.Clone(s.Required), is)
	s.PropertyOrder = slices.DeleteFunc(slices.Clone(s.PropertyOrder), is)
	return s
}

func responses(o *op.Op) map[string]response {
	status := o.Status
	if status == 0 {
		status = http.StatusOK
	}
	done := response{Description: "Done.", Headers: headers(answerHeaders()...), Content: jsonContent(open(o.Out))}
	if status == http.StatusNoContent {
		done.Content = nil
	}
	out := failures()
	out[strconv.Itoa(status)] = done
	return out
}

// failures are the answers that any call can end in.
func failures() map[string]response {
	out := map[string]response{}
	for status, name := range failureNames() {
		out[status] = response{Ref: "#/components/responses/" + name}
	}
	return out
}

// open is a copy of a schema in which an object without properties may have any: what
// a schema does not say, generators take for nothing at all.
func open(s *jsonschema.Schema) *jsonschema.Schema {
	s = s.CloneSchemas()
	openAll(s)
	return s
}

func openAll(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if s.Type == "object" && len(s.Properties) == 0 && s.AdditionalProperties == nil {
		s.AdditionalProperties = &jsonschema.Schema{}
	}
	for _, p := range s.Properties {
		openAll(p)
	}
	openAll(s.Items)
	openAll(s.AdditionalProperties)
}

func jsonContent(s *jsonschema.Schema) map[string]media {
	return map[string]media{"application/json": {Schema: s}}
}
