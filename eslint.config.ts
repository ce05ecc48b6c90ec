import { defineConfig } from 'eslint/config'
import tseslint from 'typescript-eslint'

const PURE = ['domain', 'parse', 'assemble', 'interpret', 'graph', 'detect', 'peers', 'rules'].map(
  (folder) => `agent/${folder}/**`,
)

export default defineConfig(
  { ignores: ['node_modules', 'coverage', 'dist', '**/*.cjs', 'test/fixtures'] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      eqeqeq: 'error',
      'no-console': 'error',
      'prefer-const': 'error',
    },
  },
  {
    files: [...PURE, 'agent/core.ts'],
    rules: {
      'no-restricted-globals': [
        'error',
        { name: 'process', message: 'Pure folders get the outside world as arguments.' },
        { name: 'setTimeout', message: 'Pure folders have no clock.' },
        { name: 'performance', message: 'Pure folders have no clock.' },
      ],
      'no-restricted-properties': [
        'error',
        {
          object: 'Date',
          property: 'now',
          message: 'Time is data: it comes from the log or as an argument.',
        },
        { object: 'Math', property: 'random', message: 'Same bytes in, same graph out.' },
      ],
    },
  },
  {
    files: ['agent/**'],
    ignores: ['agent/main.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'exit', message: 'Only agent/main.ts ends the process.' },
        { object: 'Math', property: 'random', message: 'Same bytes in, same graph out.' },
      ],
    },
  },
  { files: ['bench/**', 'scripts/**'], rules: { 'no-console': 'off' } },
)
