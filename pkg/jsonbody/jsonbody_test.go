package jsonbody_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/example/microservices/pkg/invalid"
	"github.com/example/microservices/pkg/jsonbody"
	"github.com/example/microservices/pkg/money"
)

type item struct {
	Product  string       `json:"product"`
	Quantity int64        `json:"quantity"`
	Price    money.Amount `json:"price"`
}

type body struct {
	Name  string                    `json:"name"`
	Age   jsonbody.Nullable[int64]  `json:"age"`
	Email jsonbody.Optional[string] `json:"email"`
	Items jsonbody.Optional[[]item] `json:"items"`
	Gift  jsonbody.Optional[bool]   `json:"gift"`
}

func TestDecode(t *testing.T) {
	var b body
	err := jsonbody.Decode([]byte(` {"name":"Ada","age":null,"items":[{"product":"p","quantity":2.0,"price":0.30}, {"product":"q","quantity":1e2,"price":1e1}],"gift":true} `), &b)
	require.NoError(t, err)
	require.Equal(t, "Ada", b.Name)
	require.True(t, b.Age.Set)
	require.True(t, b.Age.Null)
	require.Nil(t, b.Age.Ptr())
	require.False(t, b.Email.Set)
	require.Nil(t, b.Email.Ptr())
	require.True(t, b.Gift.Value)
	require.Equal(t, []item{{"p", 2, 30}, {"q", 100, 1000}}, b.Items.Value)
}

func TestDecodeRejectsAndLocates(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"a missing member":         {`{}`, "name is required"},
		"an unknown member":        {`{"name":"a","nmae":"b"}`, "nmae is not a known field; known are name, age, email, items, gift"},
		"another case":             {`{"name":"a","Age":1}`, "Age is not a known field; known are name, age, email, items, gift"},
		"a number for a text":      {`{"name":1}`, "name must be a string"},
		"null for a text":          {`{"name":null}`, "name must be a string"},
		"null where optional":      {`{"name":"a","email":null}`, "email must be a string"},
		"a text for a number":      {`{"name":"a","age":"4"}`, "age must be a whole number"},
		"a number for a bool":      {`{"name":"a","gift":1}`, "gift must be true or false"},
		"a fraction":               {`{"name":"a","age":4.5}`, "age must be a whole number"},
		"a tiny fraction":          {`{"name":"a","age":1e-999999999}`, "age must be a whole number"},
		"too large":                {`{"name":"a","age":1e999999999}`, "age is too large a number"},
		"past 64 bits":             {`{"name":"a","age":9223372036854775808}`, "age is too large a number"},
		"an object for a list":     {`{"name":"a","items":{}}`, "items must be a list"},
		"a list for the body":      {`[]`, " must be an object"},
		"null for the body":        {`null`, " must be an object"},
		"a list for an amount":     {`{"name":"a","items":[{"product":"p","quantity":1,"price":[1]}]}`, "items[0].price must not be an object or an array"},
		"every problem of a body":  {`{"age":true,"items":[{"product":"p","quantity":1,"price":1},{"product":"p","quantity":"1","price":0.001,"x":0}]}`, "age must be a whole number; items[1].quantity must be a whole number; items[1].price must have at most 2 decimals; items[1].x is not a known field; known are product, quantity, price; name is required"},
		"nested too deep":          {`{"name":` + strings.Repeat("[", 33) + strings.Repeat("]", 33) + `}`, "name is nested more than 32 levels deep"},
		"nested beyond any limit":  {`{"name":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, "name" + strings.Repeat("[0]", 42) + "… is nested more than 32 levels deep"},
		"nested as deep as may be": {`{"name":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`, "name must be a string"},
	} {
		t.Run(name, func(t *testing.T) {
			var b body
			err := jsonbody.Decode([]byte(c.in), &b)
			var got invalid.Fields
			require.ErrorAs(t, err, &got)
			require.Equal(t, c.want, got.Error())
		})
	}
}

// TestCheck: what a type's tags say in the OpenAPI document is what Decode does.
func TestCheck(t *testing.T) {
	require.NoError(t, jsonbody.Check(reflect.TypeFor[struct {
		Items []item                  `json:"items"`
		Gift  jsonbody.Optional[bool] `json:"gift,omitzero"`
		Other func()                  `json:"-"`
	}]()))
	for want, wrong := range map[string]reflect.Type{
		"Phone is required, because its type is not jsonbody.Optional or Nullable: its json tag must not have omitzero": reflect.TypeFor[struct {
			Phone string `json:"phone,omitzero"`
		}](),
		"Age is optional: its json tag needs omitzero": reflect.TypeFor[struct {
			Items []struct {
				Age jsonbody.Nullable[int] `json:"age"`
			} `json:"items"`
		}](),
		"Name needs a json tag with a name": reflect.TypeFor[struct{ Name string }](),
		"Share: jsonbody can't read into a float64": reflect.TypeFor[struct {
			Share jsonbody.Optional[[]float64] `json:"share,omitzero"`
		}](),
	} {
		require.ErrorContains(t, jsonbody.Check(wrong), want)
	}
}

func TestDecodeRejectsWhatIsNotOneJSONText(t *testing.T) {
	for name, c := range map[string]struct{ in, path, message string }{
		"nothing":                    {"", "", "empty"},
		"white space":                {" \n", "", "empty"},
		"cut short":                  {`{"name":"a"`, "", "ends too early"},
		"trailing data":              {`{"name":"a"} {}`, "", "more than one JSON value"},
		"trailing garbage":           {`{"name":"a"} x`, "", "not valid JSON"},
		"the same member twice":      {`{"name":"a","name":"b"}`, "name", "twice"},
		"twice in a list":            {`{"items":[{"price":1},{"price":1,"price":2}]}`, "items[1].price", "twice"},
		"twice in an unknown member": {`{"x":{"y":1,"y":2}}`, "x.y", "twice"},
		"twice, once escaped":        {`{"name":"a","n\u0061me":"b"}`, "name", "twice"},
		"a lone surrogate":           {`{"name":"\ud800"}`, "name", "surrogate"},
		"invalid UTF-8":              {"{\"name\":\"\xff\"}", "name", "UTF-8"},
		"single quotes":              {`{'name':'a'}`, "", "not valid JSON"},
		"a raw control character":    {"{\"name\":\"a\nb\"}", "name", "not valid JSON"},
		"a comment":                  {`{"name":"a"/**/}`, "", "not valid JSON"},
		"a byte order mark":          {"\ufeff{}", "", "not valid JSON"},
		"NaN":                        {`{"age":NaN}`, "age", "not valid JSON"},
		"wrong, then malformed":      {`{"name":1,"age"}`, "age", "not valid JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			var b body
			err := jsonbody.Decode([]byte(c.in), &b)
			var got *jsonbody.SyntaxError
			require.ErrorAs(t, err, &got)
			require.Contains(t, got.Error(), c.message)
			require.Equal(t, c.path, got.Path)
		})
	}
}

// TestProblemsAreBounded: a thousand long unknown names aren't all echoed, nor at full
// length.
func TestProblemsAreBounded(t *testing.T) {
	var in strings.Builder
	in.WriteString(`{"name":"a"`)
	for i := range 1000 {
		in.WriteString(`,"` + strings.Repeat("é", 300) + strings.Repeat("x", i) + `":1`)
	}
	in.WriteString("}")
	var b body
	var got invalid.Fields
	require.ErrorAs(t, jsonbody.Decode([]byte(in.String()), &b), &got)
	require.Len(t, got, 50)
	require.Less(t, len(got[0].Path), 100)
	require.True(t, utf8.ValidString(got[0].Path))
}

// TestWholeNumbersAreReadByValue writes the same number in many ways.
func TestWholeNumbersAreReadByValue(t *testing.T) {
	for text, want := range map[string]string{
		"36." + strings.Repeat("0", 70): "", "0." + strings.Repeat("0", 70): "", "3" + strings.Repeat("0", 80) + "e-79": "", "0e999999999999999999999": "", "-0.0": "",
		"0.00000000000000000003e21": "", "3e-1": "whole", "0." + strings.Repeat("0", 70) + "1": "whole", "1e-999999999999999999999": "whole",
		"1e19": "too large", "9223372036854775808": "too large", "1e999999999999999999999": "too large", "-92233720368547758.09e2": "too large",
	} {
		var b body
		err := jsonbody.Decode([]byte(`{"name":"","age":`+text+`}`), &b)
		if want == "" {
			require.NoError(t, err, text)
			continue
		}
		require.ErrorContains(t, err, want, text)
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64().Draw(t, "n")
		digits, err := json.Marshal(n)
		require.NoError(t, err)
		text := string(digits)
		switch rapid.IntRange(0, 3).Draw(t, "form") {
		case 1:
			text += "." + strings.Repeat("0", rapid.IntRange(1, 5).Draw(t, "zeros"))
		case 2:
			text += ".0e0"
		case 3:
			text += "e0"
		}
		var b body
		require.NoError(t, jsonbody.Decode([]byte(`{"name":"","age":`+text+`}`), &b))
		require.Equal(t, n, b.Age.Value)
	})
}

// FuzzDecode: Decode never panics, accepts only valid JSON, and reports each problem as
// the right kind.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"name":"Ada","age":36,"email":"a@b.c","items":[{"product":"p","quantity":1,"price":0.1}]}`,
		`{"name":"a","name":"b"}`, `{"name":"\ud800"}`, `{"age":1e400}`, `{"age":1e-400,"items":[[[]]]}`, `[`, `{} {}`, "\xff", `{"x":{"y":[1,{"z":null}]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var b body
		err := jsonbody.Decode(in, &b)
		if err == nil {
			require.True(t, json.Valid(in))
			require.True(t, utf8.ValidString(b.Name))
			return
		}
		var fields invalid.Fields
		var syntax *jsonbody.SyntaxError
		if errors.As(err, &fields) {
			require.NotEmpty(t, fields)
			require.True(t, json.Valid(in), "%q has wrong fields, yet isn't JSON", in)
			return
		}
		require.ErrorAs(t, err, &syntax)
	})
}

// TestExcessElementsAreNotDecoded: of a list that is too long, or a body with many errors,
// only as much is decoded as is reported.
func TestExcessElementsAreNotDecoded(t *testing.T) {
	type item struct {
		Name string `json:"name"`
	}
	type body struct {
		Items []item `json:"items" maxItems:"100"`
	}
	good := strings.TrimSuffix(strings.Repeat(`{"name":"x"},`, 10_000), ",")
	bad := strings.TrimSuffix(strings.Repeat(`{},`, 100_000), ",")
	var b body
	require.NoError(t, jsonbody.Decode([]byte(`{"items":[`+good+`]}`), &b))
	require.Len(t, b.Items, 101, "enough to see that it is too long")
	for name, text := range map[string]string{
		"elements": `{"items":[` + bad + `]}`, "unknown members": `{"items":[]` + manyMembers(20_000) + `}`,
	} {
		allocations := testing.AllocsPerRun(1, func() {
			b = body{}
			var fields invalid.Fields
			require.ErrorAs(t, jsonbody.Decode([]byte(text), &b), &fields, name)
			require.Len(t, fields, 50)
		})
		require.Less(t, allocations, 30_000.0, name)
		require.LessOrEqual(t, len(b.Items), 101)
	}
	var syntax *jsonbody.SyntaxError
	require.ErrorAs(t, jsonbody.Decode([]byte(`{"items":[`+bad+`]`), &b), &syntax, "the whole body is checked for syntax errors")
	var number struct {
		N int64 `json:"n"`
	}
	for _, text := range []string{strings.Repeat("7", 500_000), "1." + strings.Repeat("7", 500_000)} {
		var fields invalid.Fields
		require.ErrorAs(t, jsonbody.Decode([]byte(`{"n":`+text+`}`), &number), &fields)
	}
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"m%d":1`, i)
	}
	return b.String()
}
