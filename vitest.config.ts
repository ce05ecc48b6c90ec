import { defineConfig } from 'vitest/config'

/** What uses the one audit of the kernel, looks at all processes of the host, or waits for an agent: one file at a time. */
const ALONE = [
  'bench',
  'cli',
  'dns',
  'e2e',
  'http',
  'outputs',
  'package',
  'scan',
  'scripts',
  'soak',
  'support',
  'tail',
  'watch',
].map((folder) => `test/${folder}/**/*.test.ts`)

export default defineConfig({
  test: {
    testTimeout: 30_000,
    hookTimeout: 120_000,
    projects: [
      {
        extends: true,
        test: { name: 'alone', include: ALONE, fileParallelism: false, sequence: { groupOrder: 1 } },
      },
      {
        extends: true,
        test: {
          name: 'together',
          include: ['test/**/*.test.ts'],
          exclude: ALONE,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
    ],
  },
})
