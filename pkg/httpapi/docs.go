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

//go:embed docs/index.html docs/start.js docs/style.css
var docsPage embed.FS

// docsPolicy allows the page to load from this service only. Swagger UI sets styles from
// its script, which requires unsafe-inline.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// serveDocs serves the OpenAPI document, and Swagger UI from files embedded in the
// binary.
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

	// A copy for the page, so that it works behind a proxy that forwards /docs only.
	a.engine.GET("/docs/openapi.json", asJSON)
	a.engine.GET("/docs", a.docsFile("index.html", "text/html; charset=utf-8"))
	a.engine.GET("/docs/start.js", a.docsFile("start.js", "text/javascript; charset=utf-8"))
	a.engine.GET("/docs/style.css", a.docsFile("style.css", "text/css; charset=utf-8"))
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
		panic(err) // can't fail: the file is embedded in the binary
	}
	page := newAsset([]byte(strings.ReplaceAll(string(content), "{{title}}", a.config.Title)))
	return func(g *gin.Context) {
		g.Header("Content-Security-Policy", docsPolicy)
		page.serve(g, contentType)
	}
}

// swaggerFile returns a file of Swagger UI. Most are embedded in gzip only.
func swaggerFile(name string) *asset {
	content, err := swaggerui.FS.ReadFile(name)
	if err == nil {
		return newAsset(content)
	}
	compressed, err := swaggerui.FS.ReadFile(name + ".gz")
	if err != nil {
		panic(err) // can't fail: the file is embedded in the binary
	}
	return newCompressed(compressed)
}

// YAML encodes an OpenAPI document as YAML.
func YAML(document *huma.OpenAPI) ([]byte, error) {
	b, err := document.YAML()
	if err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	return b, nil
}
