// The client API, described at /docs by Swagger UI. Everything it loads is of this origin.

// Swagger UI sets HTML that it has cleaned. Scripts and their addresses from strings stay forbidden.
window.trustedTypes?.createPolicy('default', { createHTML: (html) => html });

addEventListener('DOMContentLoaded', () =>
  window.SwaggerUIBundle({
    url: 'openapi.json',
    dom_id: '#docs',
    deepLinking: true,
    defaultModelsExpandDepth: -1,
    // Its default asks a server on the internet whether the document is valid.
    validatorUrl: null,
  }),
);
