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

/** What starts programs or machines of its own, and uses nothing of this one but its processors. */
const PAIRS = [
  'cli/!(doctor|lock|scan|train-processes).test.ts',
  'e2e/install.test.ts',
  'package/arm64.test.ts',
  'package/contents.test.ts',
  'package/life-*.test.ts',
  'package/vm.test.ts',
  'scripts/release.test.ts',
].map((path) => `test/${path}`)

/**
 * Kernels, terminals and machines that boot have moments of their own: a test of theirs that fails is tried once more.
 * scripts/run-tests.ts names each test that needed it, and why. What computes is never tried again.
 */
const ONCE_MORE = 1

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 120_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'alone',
          include: ALONE,
          exclude: PAIRS,
          retry: ONCE_MORE,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: {
          name: 'pairs',
          include: PAIRS,
          retry: ONCE_MORE,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
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
