package dynamic

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// Whatever a client sends as a schema and an input is understood or refused,
// without a panic and in bounded time, and what is handed on was judged.
func FuzzSchema(f *testing.F) {
	for _, seed := range [][2]string{
		{`{"type":"object"}`, `{}`},
		{`{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}`, `{"a":1,"a":"x"}`},
		{`{"type":"object","properties":{"a":{"$ref":"#/$defs/a"}},"$defs":{"a":{"$ref":"#/$defs/a"}}}`, `{"a":1}`},
		{`{"type":"object","properties":{"a":{"$ref":"#/$defs/a"}},"$defs":{"a":{"type":["string","null"]}}}`, `{"a":null}`},
		{`{"type":"object","additionalProperties":{"anyOf":[{"pattern":"(a*)*b"},{"uniqueItems":true}]}}`, `{"a":"aaaaaaaaaaaaaaaaaaaaaaaa","b":[1,1.0]}`},
		{`{"type":"object","patternProperties":{"^x":false},"propertyNames":{"maxLength":3}}`, `{"xx":1e999}`},
		{`{"type":"object","default":{"a":1},"dependentSchemas":{"a":{"required":["b"]}}}`, `{"a":1}`},
		{`{"type":"object","properties":{"a":{"const":null,"enum":[[]],"multipleOf":0.1}}}`, `{"a":0.3}`},
		{doubling(30), `{"a":"b"}`},
		{`[]`, `[`},
		{`{"type":"object"} {}`, "\xff"},
		{`{"type":"object","properties":null}`, `null`},
	} {
		f.Add([]byte(seed[0]), []byte(seed[1]))
	}
	f.Fuzz(func(t *testing.T, schema, input []byte) {
		began := time.Now()
		resolved, plain, err := parseSchema(schema)
		if err != nil {
			return
		}
		tool := Tool{Name: "it", InputSchema: plain}
		if again, same, err := parseSchema(plain); err != nil || again == nil || string(same) != string(plain) {
			t.Fatalf("%s is kept as %s, which is read as %s, %v", schema, plain, same, err)
		}
		if bare := tool.bareSchema(); strings.ContainsAny(string(bare), " \n") {
			t.Errorf("%s is told as %s", plain, bare)
		}
		got, err := entry{Tool: tool, schema: resolved}.validate(input)
		if err == nil {
			var object map[string]any
			if err := json.Unmarshal(got, &object); err != nil || object == nil {
				t.Errorf("%s lets %q through as %s, which is no object", plain, input, got)
			}
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// The first line of a script names an interpreter of the list, or it is refused.
func FuzzLanguage(f *testing.F) {
	for _, seed := range []string{"#!/bin/bash\n", "#!/usr/bin/env -S python3 -u\r\n", "#!", "#!/usr/bin/env", "#! sh -eu", "#!/bin/bash -c\n", "#!/usr/bin/env python3 -c", "print(1)"} {
		f.Add("a.sh", []byte(seed))
	}
	f.Fuzz(func(t *testing.T, name string, body []byte) {
		l, options, err := languageOf(name, body)
		if (err == nil) != (len(l.command) > 0) {
			t.Fatalf("%q of %q: %+v, %v", body, name, l, err)
		}
		for _, option := range options {
			if l.options == nil || !l.options.MatchString(option) || !strings.HasPrefix(option, "-") || strings.ContainsAny(option, "c;$ ") {
				t.Errorf("%q of %q passes the option %q", body, name, option)
			}
		}
	})
}
