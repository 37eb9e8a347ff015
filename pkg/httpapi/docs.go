package httpapi

import (
	"embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	swaggerui "github.com/swaggest/swgui/v5/static"
)

//go:embed docs/index.html docs/start.js
var docsPage embed.FS

// docsPolicy lets the page load what this service serves, and nothing else.
// Swagger UI sets styles from its script, which only unsafe-inline permits.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// serveDocs adds the OpenAPI document, and a page to browse and try it with:
// Swagger UI, from files that are part of the binary.
func (a *API) serveDocs() {
	document := sync.OnceValues(func() (doc documents, err error) {
		asJSON, err := json.Marshal(a.served())
		if err != nil {
			return doc, fmt.Errorf("write the OpenAPI document: %w", err)
		}
		asYAML, err := YAML(a.served())
		return documents{newAsset(asJSON), newAsset(asYAML)}, err
	})
	serve := func(contentType string, pick func(documents) *asset) gin.HandlerFunc {
		return func(g *gin.Context) {
			doc, err := document()
			if err != nil {
				panic(err)
			}
			pick(doc).serve(g, contentType)
		}
	}
	asJSON := serve("application/openapi+json", func(d documents) *asset { return d.json })
	a.engine.GET("/openapi.json", asJSON)
	a.engine.GET("/openapi.yaml", serve("application/openapi+yaml", func(d documents) *asset { return d.yaml }))

	// The page's own copy, so that it works where only /docs is let through.
	a.engine.GET("/docs/openapi.json", asJSON)
	a.engine.GET("/docs", a.docsFile("index.html", "text/html; charset=utf-8"))
	a.engine.GET("/docs/start.js", a.docsFile("start.js", "text/javascript; charset=utf-8"))
	for name, contentType := range map[string]string{
		"swagger-ui.css": "text/css; charset=utf-8", "swagger-ui-bundle.js": "text/javascript; charset=utf-8", "favicon-32x32.png": "image/png",
	} {
		file := swaggerFile(name)
		a.engine.GET("/docs/"+name, func(g *gin.Context) { file.serve(g, contentType) })
	}
}

type documents struct{ json, yaml *asset }

func (a *API) docsFile(name, contentType string) gin.HandlerFunc {
	content, err := docsPage.ReadFile("docs/" + name)
	if err != nil {
		panic(err) // it is part of the binary
	}
	page := newAsset([]byte(strings.ReplaceAll(string(content), "{{title}}", a.config.Title)))
	return func(g *gin.Context) {
		g.Header("Content-Security-Policy", docsPolicy)
		page.serve(g, contentType)
	}
}

// swaggerFile returns a file of Swagger UI, most of which are there compressed only.
func swaggerFile(name string) *asset {
	content, err := swaggerui.FS.ReadFile(name)
	if err == nil {
		return newAsset(content)
	}
	compressed, err := swaggerui.FS.ReadFile(name + ".gz")
	if err != nil {
		panic(err) // it is part of the binary
	}
	return newCompressed(compressed)
}

// YAML writes an OpenAPI document as YAML.
func YAML(document *huma.OpenAPI) ([]byte, error) {
	b, err := document.YAML()
	if err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	return b, nil
}
