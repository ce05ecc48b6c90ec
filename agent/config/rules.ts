import { z } from 'zod'
import { isGlob } from '../support/glob.ts'

/** Section `rules`. */
export const RulesConfig = z
  .strictObject({
    folders: z
      .array(z.string().min(1))
      .default(['/etc/fullmon/rules'])
      .describe('folders with rules of your own; one with the id of a shipped rule replaces it'),
    disabled: z.array(z.string().min(1)).default([]).describe('ids of rules that are switched off'),
    skip: z
      .strictObject({
        commands: z.array(z.string().min(1)).default([]).describe('names of programs that no rule is about'),
        paths: z
          .array(
            z.string().min(1).refine(isGlob, 'expected a prefix of paths, or a glob such as /srv/**/*.php'),
          )
          .default([])
          .describe('prefixes or globs of files and programs that no rule is about'),
        users: z.array(z.string().min(1)).default([]).describe('users that no rule is about'),
      })
      .prefault({}),
  })
  .prefault({})
