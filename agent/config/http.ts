import { isIP } from 'node:net'
import { z } from 'zod'
import { DEFAULT_SOCKET } from './places.ts'

/** Section `http`. */
export const HttpConfig = z
  .strictObject({
    socket: z
      .string()
      .default(DEFAULT_SOCKET)
      .describe('Unix socket that tells health, metrics and the API; empty for none'),
    port: z.int().min(0).max(65_535).optional().describe('TCP port for the same; none without it'),
    address: z
      .string()
      .refine((text) => text === 'localhost' || isIP(text) !== 0, 'expected an IP address, or localhost')
      .default('127.0.0.1')
      .describe('address of that port'),
    token_file: z
      .string()
      .min(1)
      .optional()
      .describe('file (mode 0600) with the bearer token that TCP asks for; needed beyond loopback'),
  })
  .prefault({})
