package httpapi

import (
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	swaggerui "github.com/swaggest/swgui/v5/static"
	"github.com/vearutop/statigz"
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
		doc.json, err = json.Marshal(a.OpenAPI())
		if err != nil {
			return doc, fmt.Errorf("write the OpenAPI document: %w", err)
		}
		doc.yaml, err = YAML(a.OpenAPI())
		return doc, err
	})
	serve := func(contentType string, pick func(documents) []byte) gin.HandlerFunc {
		return func(g *gin.Context) {
			doc, err := document()
			if err != nil {
				panic(err)
			}
			g.Data(http.StatusOK, contentType, pick(doc))
		}
	}
	asJSON := serve("application/openapi+json", func(d documents) []byte { return d.json })
	a.engine.GET("/openapi.json", asJSON)
	a.engine.GET("/openapi.yaml", serve("application/openapi+yaml", func(d documents) []byte { return d.yaml }))

	// The page's own copy, so that it works where only /docs is let through.
	a.engine.GET("/docs/openapi.json", asJSON)
	a.engine.GET("/docs", a.docsFile("index.html", "text/html; charset=utf-8"))
	a.engine.GET("/docs/start.js", a.docsFile("start.js", "text/javascript; charset=utf-8"))
	assets := http.StripPrefix("/docs/", statigz.FileServer(swaggerui.FS))
	for _, name := range []string{"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"} {
		a.engine.GET("/docs/"+name, gin.WrapH(assets))
	}
}

type documents struct{ json, yaml []byte }

func (a *API) docsFile(name, contentType string) gin.HandlerFunc {
	content, err := docsPage.ReadFile("docs/" + name)
	if err != nil {
		panic(err) // it is part of the binary
	}
	content = []byte(strings.ReplaceAll(string(content), "{{title}}", a.config.Title))
	return func(g *gin.Context) {
		g.Header("Content-Security-Policy", docsPolicy)
		g.Data(http.StatusOK, contentType, content)
	}
}

// YAML writes an OpenAPI document as YAML.
func YAML(document *huma.OpenAPI) ([]byte, error) {
	b, err := document.YAML()
	if err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	return b, nil
}
