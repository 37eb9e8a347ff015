// Opens Swagger UI on the document of the service that serves this page.
window.ui = SwaggerUIBundle({
  url: "/docs/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  tryItOutEnabled: true,
  persistAuthorization: true, // a reload keeps the token
  validatorUrl: null,
});
