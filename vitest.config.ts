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

/** What makes machines of its own, and uses nothing of this one but its processors. */
const MACHINES = [
  'e2e/install.test.ts',
  'package/arm64.test.ts',
  'package/build.test.ts',
  'package/contents.test.ts',
  'package/life-*.test.ts',
  'scripts/release.test.ts',
].map((path) => `test/${path}`)

export default defineConfig({
  test: {
    testTimeout: 30_000,
    hookTimeout: 120_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'alone',
          include: ALONE,
          exclude: MACHINES,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: { name: 'machines', include: MACHINES, maxWorkers: 2, sequence: { groupOrder: 1 } },
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
