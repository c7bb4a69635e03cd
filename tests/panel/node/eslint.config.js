// Rules for admin_static. Prettier decides the layout; it leaves html`…` templates as they are written,
// therefore the length of lines is checked here.
import js from '@eslint/js';
import globals from 'globals';

export default [
  { ignores: ['admin_static/vendor/'] },
  js.configs.recommended,
  {
    languageOptions: { globals: globals.browser },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      'eqeqeq': ['error', 'always', { null: 'ignore' }],
      'max-len': ['error', { code: 120 }],
      'no-shadow': 'error',
      'no-var': 'error',
      'prefer-const': 'error',
    },
  },
  // A text is not broken into several lines.
  { files: ['admin_static/i18n/**/*.js'], rules: { 'max-len': 'off' } },
];
