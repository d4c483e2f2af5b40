package dynamic

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

const (
	maxSchema = 16 << 10 // bytes
	// maxParts bounds the parts of a schema with every reference written out,
	// so that no input takes long to judge and no reference leads in a circle.
	maxParts = 2000
	maxDepth = 64
	// maxSteps bounds the patterns of a schema, in steps of their programs.
	maxSteps = 2000
	maxInput = 1 << 20 // bytes of a call's input
	// maxWork bounds what judging one input takes: a step that looks at a byte
	// is one, a part that looks at a value partWork. It is seconds at worst.
	maxWork  = 50_000_000
	partWork = 20
)

// propertyName is what model providers accept; one schema that they refuse
// would make every call of the model fail.
var propertyName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,64}$`)

// inner is where a schema may keep what others refer to.
const inner = "#/$defs/"

// judged is a schema that inputs can be judged by, with what that takes.
type judged struct {
	*jsonschema.Resolved
	parts, steps int
}

// parseSchema reads a tool's schema and returns it compact.
func parseSchema(raw json.RawMessage) (*judged, json.RawMessage, error) {
	if len(raw) > maxSchema {
		return nil, nil, fmt.Errorf("it has %d bytes, at most %d are allowed", len(raw), maxSchema)
	}
	plain, err := canonical(raw)
	if err != nil {
		return nil, nil, err
	}
	var root map[string]any
	if err := json.Unmarshal(plain, &root); err != nil || root == nil {
		return nil, nil, errors.New("it must be a JSON object")
	}
	if root["type"] != "object" {
		return nil, nil, errors.New(`it must be of "type": "object": a tool's input has names`)
	}
	for _, word := range []string{"$ref", "allOf", "anyOf", "oneOf", "not", "if", "enum", "const"} {
		if _, ok := root[word]; ok {
			return nil, nil, fmt.Errorf("it has %s at its top, which model providers refuse: put it into a property", word)
		}
	}
	w := walk{root: root}
	if err := w.schema(root, 0); err != nil {
		return nil, nil, err
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(plain, &schema); err != nil {
		return nil, nil, fmt.Errorf("it is no JSON Schema: %w", err)
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		return nil, nil, fmt.Errorf("it is no JSON Schema: %w", err)
	}
	return &judged{resolved, w.parts, w.steps}, plain, nil
}

// walk visits every part of a schema, with references written out, and refuses
// what model providers would: the library that judges inputs takes more.
type walk struct {
	root         map[string]any
	parts, steps int
}

// schema visits a schema, which is an object, or a yes or no to everything.
func (w *walk) schema(v any, depth int) error {
	if _, ok := v.(bool); ok {
		return nil
	}
	parts, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("%.80q stands where a schema must", fmt.Sprint(v))
	}
	if w.parts++; w.parts > maxParts || depth > maxDepth {
		return errors.New("it is too large with its references written out, or refers to itself")
	}
	for word, each := range parts {
		if err := w.keyword(word, each, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) keyword(word string, v any, depth int) error {
	switch word {
	case "$ref":
		to, err := w.target(v)
		if err != nil {
			return err
		}
		return w.schema(to, depth)
	case "$schema":
		if v != "https://json-schema.org/draft/2020-12/schema" {
			return fmt.Errorf("$schema %.80q is not draft 2020-12", fmt.Sprint(v))
		}
	case "$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "definitions", "dependencies", "additionalItems":
		return fmt.Errorf("%s is not supported: write the part out, or refer to %sNAME", word, inner)
	case "items", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else", "unevaluatedItems", "unevaluatedProperties", "contentSchema":
		return w.schema(v, depth)
	case "allOf", "anyOf", "oneOf", "prefixItems":
		return w.list(word, v, depth)
	case "properties", "$defs", "patternProperties", "dependentSchemas":
		return w.named(word, v, depth)
	case "type":
		return checkType(v)
	case "required", "enum":
		list, ok := v.([]any)
		if !ok || !distinct(list) {
			return fmt.Errorf("%s must be a list without repetitions", word)
		}
		if w.parts += len(list); w.parts > maxParts {
			return fmt.Errorf("its lists of values have more than %d members in all", maxParts)
		}
	case "pattern":
		return w.pattern(v)
	case "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains":
		if n, ok := v.(float64); !ok || n < 0 || n != math.Trunc(n) {
			return fmt.Errorf("%s must be a whole number", word)
		}
	case "multipleOf":
		if n, ok := v.(float64); !ok || n <= 0 {
			return errors.New("multipleOf must be more than 0")
		}
	}
	return nil
}

func (w *walk) list(word string, v any, depth int) error {
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return fmt.Errorf("%s must be a list of schemas", word)
	}
	for _, each := range list {
		if err := w.schema(each, depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) named(word string, v any, depth int) error {
	all, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("%s must be an object of schemas", word)
	}
	for name, each := range all {
		if word == "patternProperties" {
			if err := w.pattern(name); err != nil {
				return err
			}
		} else if !propertyName.MatchString(name) {
			return fmt.Errorf("the name %.80q must be 1 to 64 letters, digits, _, . and -", name)
		}
		if err := w.schema(each, depth); err != nil {
			return err
		}
	}
	return nil
}

// pattern counts the steps of a pattern's program before there is one: a short
// pattern can have a program of hundreds of megabytes.
func (w *walk) pattern(v any) error {
	text, ok := v.(string)
	if !ok {
		return errors.New("a pattern must be text")
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return fmt.Errorf("it is no JSON Schema: pattern %.80q: %w", text, err)
	}
	if w.steps += stepsOf(tree); w.steps > maxSteps {
		return fmt.Errorf("its patterns have more than %d steps with their repetitions written out, the last one is %.80q", maxSteps, text)
	}
	return nil
}

// stepsOf is about how many steps the program of a pattern has, never far too
// few; what is more than maxSteps is not counted on.
func stepsOf(tree *syntax.Regexp) int {
	steps := 1 + len(tree.Rune)
	if tree.Op == syntax.OpCharClass {
		steps = 1
	}
	for _, sub := range tree.Sub {
		if steps += stepsOf(sub); steps > maxSteps {
			return maxSteps + 1
		}
	}
	if tree.Op == syntax.OpRepeat {
		steps *= max(tree.Min, tree.Max) + 1 // the parser bounds both
	}
	return min(steps, maxSteps+1)
}

// checkType judges the value of "type": a word of the standard, or several.
func checkType(v any) error {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, each := range list {
		switch each {
		case "object", "array", "string", "number", "integer", "boolean", "null":
		default:
			return fmt.Errorf("type %.80q is no type of JSON Schema", fmt.Sprint(each))
		}
	}
	if len(list) == 0 || !distinct(list) {
		return errors.New("type must be one type, or a list without repetitions")
	}
	return nil
}

func distinct(list []any) bool {
	seen := map[string]bool{}
	for _, each := range list {
		raw, err := json.Marshal(each)
		if err != nil || seen[string(raw)] {
			return false
		}
		seen[string(raw)] = true
	}
	return true
}

// target finds what a reference stands for.
func (w *walk) target(ref any) (any, error) {
	text, _ := ref.(string)
	name, ok := strings.CutPrefix(text, inner)
	defs, _ := w.root["$defs"].(map[string]any)
	to, known := defs[name]
	if !ok || !known || strings.ContainsAny(name, "/~%") {
		return nil, fmt.Errorf("$ref %.200q leads nowhere: refer to %sNAME", fmt.Sprint(ref), inner)
	}
	return to, nil
}

// canonical returns a JSON value compact and with each name once, so that
// whoever reads it next reads what was judged.
func canonical(raw []byte) (json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, fmt.Errorf("it is no JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("it is more than one JSON value")
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// validate judges a call's input and returns it in the form to be handed on.
func (e entry) validate(input json.RawMessage) (json.RawMessage, error) {
	if len(input) == 0 {
		input = json.RawMessage("{}")
	}
	if len(input) > maxInput {
		return nil, fmt.Errorf("the input has %d bytes, at most %d are allowed", len(input), maxInput)
	}
	plain, err := canonical(input)
	if err != nil {
		return nil, fmt.Errorf("the input of %s: %w", e.Name, err)
	}
	var value any
	if err := json.Unmarshal(plain, &value); err != nil {
		return nil, fmt.Errorf("the input of %s: %w", e.Name, err)
	}
	if work := e.schema.steps*len(plain) + partWork*e.schema.parts*values(value); work > maxWork {
		return nil, fmt.Errorf("the input of %s is too much for its schema, with which judging it takes %d steps, at most %d are allowed: make it smaller, or the schema simpler", e.Name, work, maxWork)
	}
	if err := e.schema.Validate(value); err != nil {
		return nil, e.misfit(value, err)
	}
	return plain, nil
}

// misfit says why an input does not fit. The model reads it, so unless the
// schema is the owner's it is told by the bare schema, as the tool is.
func (e entry) misfit(value any, err error) error {
	schema := e.InputSchema
	if !e.ByOwner() {
		schema, err = e.bareSchema(), errors.New("it breaks a rule of which the words are not shown")
		if shown, _, unread := parseSchema(schema); unread == nil {
			err = cmp.Or(shown.Validate(value), err)
		}
	}
	// The validator's first words name its own schema paths.
	return fmt.Errorf("the input of %s does not fit: %s. The schema is %s", e.Name, strings.TrimPrefix(err.Error(), "validating root: "), schema)
}

// values counts the values of which a JSON value is made.
func values(v any) int {
	n := 1
	switch v := v.(type) {
	case []any:
		for _, each := range v {
			n += values(each)
		}
	case map[string]any:
		for _, each := range v {
			n += values(each)
		}
	}
	return n
}
