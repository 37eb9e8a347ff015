package system

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/internal/testkit/process"
)

var pictures = flag.String("pictures", "", "folder for a picture of /docs, relative to the project's")

// browser starts a headless Chromium, or fails the test if it isn't installed.
func browser(t *testing.T) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		found, err := exec.LookPath(name)
		if err == nil {
			path = found
			break
		}
	}
	require.NotEmpty(t, path, "this test needs Chromium: install the package chromium")
	temp, err := os.MkdirTemp("", "chromium-") //nolint:usetesting // Chromium may write to it after its end, which must not fail the test
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(temp) })
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.Env("TMPDIR="+temp),
		chromedp.ExecPath(path),
		chromedp.NoSandbox, // the test may run as root, and opens its own pages only
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.WindowSize(1280, 1600),
	)
	allocated, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(allocated)
	t.Cleanup(func() { stop(); stopAllocator() })
	limited, cancel := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	return limited
}

// do runs an action in the browser, and returns its result.
func do[T any](ctx context.Context, t *testing.T, action chromedp.Action[T]) T {
	t.Helper()
	result, err := chromedp.Run(ctx, action)
	require.NoError(t, err)
	return result
}

// click clicks an element as soon as the page has it. The page renders in steps, and may
// render an element again at any time.
func click(ctx context.Context, t *testing.T, selector string) {
	t.Helper()
	script := fmt.Sprintf("(e => { if (e) e.click(); return !!e })(document.querySelector(%q))", selector)
	apitest.Eventually(t, selector, func() bool { return do(ctx, t, chromedp.Evaluate[bool](script)) })
}

// text returns an element's text as soon as it isn't empty.
func text(ctx context.Context, t *testing.T, selector string) (got string) {
	t.Helper()
	script := fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", selector)
	apitest.Eventually(t, selector, func() bool {
		got = do(ctx, t, chromedp.Evaluate[string](script))
		return got != ""
	})
	return got
}

const statusOf = `.live-responses-table .response .response-col_status`

// execute opens an operation, sends its request, and returns the status that the page shows.
// The page renders an operation twice, and loses clicks in between. So execute waits for the
// example body, and clicks again if there is no answer.
func execute(ctx context.Context, t *testing.T, operation string) (status string) {
	t.Helper()
	click(ctx, t, operation+`.opblock-summary-control`)
	example := fmt.Sprintf("document.querySelector(%q)?.value ?? ''", operation+`textarea`)
	apitest.Eventually(t, "the example", func() bool { return do(ctx, t, chromedp.Evaluate[string](example)) != "" })
	shown := fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", operation+statusOf)
	apitest.Eventually(t, "the answer", func() bool {
		click(ctx, t, operation+`button.execute`)
		for range 100 {
			status = do(ctx, t, chromedp.Evaluate[string](shown))
			if status != "" {
				return true
			}
			<-time.After(20 * time.Millisecond)
		}
		return false
	})
	return status
}

// TestARequestIsSentFromTheDocumentation opens /docs in a browser that can reach only the
// service, creates a user from the page, and reads the answer.
func TestARequestIsSentFromTheDocumentation(t *testing.T) {
	users := startUsers(t)
	ctx := browser(t)
	const operation = `#operations-Users-create-user `
	do(ctx, t, chromedp.Navigate(users.URL+"/docs"))
	status := execute(ctx, t, operation)
	body := text(ctx, t, operation+`.live-responses-table .response .highlight-code`)
	title := do(ctx, t, chromedp.Title())
	require.Equal(t, "user-service", title)
	require.Contains(t, status, "201")
	require.Contains(t, body, `"name": "Ada Lovelace"`)
	require.Len(t, readAll(t, httpClient(t), users.URL+"/api/v1/users"), 1, "the user was created")
}

// TestTheAuthorizeButtonSendsAToken does the same with tokens required. A request without a
// token is rejected; one with the token given to the page acts as its subject.
func TestTheAuthorizeButtonSendsAToken(t *testing.T) {
	g := startGuarded(t)
	subject := uuid.NewString()
	ctx := browser(t)
	const (
		operation = `#operations-Users-create-user `
		status    = operation + statusOf
		dialog    = `.modal-ux .auth-container `
	)
	do(ctx, t, chromedp.Navigate(g.users.URL+"/docs"))
	require.Contains(t, execute(ctx, t, operation), "401")

	click(ctx, t, `.scheme-container button.authorize`)
	// Like typing: the page's framework listens to the event.
	fill := fmt.Sprintf(`(e => { if (!e) return false;
		Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(e, %q);
		e.dispatchEvent(new Event("input", {bubbles: true})); return true })(document.querySelector(%q))`,
		g.token(t, subject, "users:write"), dialog+`input`)
	apitest.Eventually(t, "the dialog", func() bool { return do(ctx, t, chromedp.Evaluate[bool](fill)) })
	click(ctx, t, dialog+`button.authorize`)
	click(ctx, t, `.modal-ux button.close-modal`)
	click(ctx, t, operation+`button.execute`)
	apitest.Eventually(t, "created", func() bool { return strings.Contains(text(ctx, t, status), "201") })
	require.Contains(t, text(ctx, t, operation+`.live-responses-table .response .highlight-code`), subject)

	do(ctx, t, chromedp.Navigate("about:blank"))
	do(ctx, t, chromedp.Navigate(g.users.URL+"/docs"))
	require.Contains(t, execute(ctx, t, operation), "409", "the page still has the token")
}

// TestTheDocumentationFitsAPhone opens every operation on a narrow screen: nothing is wider.
func TestTheDocumentationFitsAPhone(t *testing.T) {
	users := startUsers(t)
	ctx := browser(t)
	do(ctx, t, chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile))
	do(ctx, t, chromedp.Navigate(users.URL+"/docs"))
	apitest.Eventually(t, "every operation is open", func() bool {
		return do(ctx, t, chromedp.Evaluate[bool](`(() => {
			document.querySelectorAll(".opblock-summary-control[aria-expanded=false]").forEach(e => e.click());
			const all = document.querySelectorAll(".opblock").length
			return all > 0 && document.querySelectorAll(".opblock .responses-table").length === all })()`))
	})
	width := do(ctx, t, chromedp.Evaluate[int](`document.documentElement.scrollWidth`))
	require.Equal(t, 390, width)
}

// TestTheDocumentationOfOrders does the same with order-service's page.
func TestTheDocumentationOfOrders(t *testing.T) {
	users := startUsers(t)
	orders := process.Start(t, process.Build(t, "order-service"), "DATABASE_URL="+databases["sqlite"](t), "USER_SERVICE_URL="+users.URL)
	ctx := browser(t)
	do(ctx, t, chromedp.Navigate(orders.URL)) // which redirects browsers to /docs
	text(ctx, t, `#operations-Orders-create-order`)
	operations := do(ctx, t, chromedp.Evaluate[int](`document.querySelectorAll(".opblock").length`))
	require.Equal(t, 12, operations, "nine of orders and three of health")
	if *pictures != "" {
		// As wide as a README shows it, and without the schemas below the operations.
		do(ctx, t, chromedp.EmulateViewport(900, 1000))
		height := do(ctx, t, chromedp.Evaluate[float64](`Math.max(...[...document.querySelectorAll(".opblock")].map(e => e.getBoundingClientRect().bottom))`))
		do(ctx, t, chromedp.EmulateViewport(900, int64(height)+20))
		picture := do(ctx, t, chromedp.CaptureScreenshot())
		require.NoError(t, os.WriteFile(filepath.Join("../..", *pictures, "docs.png"), picture, 0o644))
	}
}
