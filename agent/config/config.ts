/** The configuration: defaults, then a profile, then the file, then the command line. */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { UsageError } from '../domain/result.ts'
import { fit } from './fit.ts'
import { readTrusted } from '../support/trusted-file.ts'
import { childOf, isNothing, type Located, placeText, locate } from './located.ts'
import { foundConfig, isShipped, profileFile, PROFILES } from './find.ts'
import { inWordsOf, locatedOf, merged, NOTHING, withoutNulls } from './layers.ts'
import { Config } from './schema.ts'
import { ofOptions, ofSettings } from './words.ts'

export { Config } from './schema.ts'

/** What the command line says of where the configuration comes from. */
export interface ConfigWords {
  readonly config?: string | undefined
  readonly profile?: string | undefined
  /** `KEY=VALUE`, the later wins. */
  readonly set?: readonly string[] | undefined
}

/** A configuration, and where each value of it stands. */
export interface Loaded {
  readonly config: Config
  /** All that is said anywhere; what is not in it has its default. */
  readonly said: Located
  readonly file: string | undefined
}

/**
 * The configuration that counts.
 *
 * @param words of the command line
 * @param given options that have keys of their own; undefined ones were not given
 * @throws UsageError with file:line:column of every mistake
 */
export const loadConfig = (words: ConfigWords, given: PartialConfig = {}): Config =>
  loadWithPlaces(words, given).config

type PartialConfig = { readonly [Key in keyof Config]?: Partial<Config[Key]> | undefined }

/** The same with the places. @throws UsageError with file:line:column of every mistake */
export const loadWithPlaces = (words: ConfigWords, given: PartialConfig = {}): Loaded =>
  load(words.config ?? foundConfig(), words, given)

/** What would count if a file said this, whatever the command line says. @throws UsageError as above */
export const loadDraft = (file: string, text: string): Loaded =>
  loadOver(layerOfFile(text, file), file, {}, {})

/** Only what the words say, for saved logs: they may be of another host. @throws UsageError as above */
export const loadSaid = (words: ConfigWords): Config => load(words.config, words, {}).config

function load(file: string | undefined, words: ConfigWords, given: PartialConfig): Loaded {
  const inFile = file === undefined ? NOTHING : layerOfFile(readTrusted(file, 'the configuration'), file)
  return loadOver(inFile, file, words, given)
}

const layerOfFile = (text: string, file: string): Located =>
  withProfilePath(readLayer(text, file), dirname(file))

function loadOver(
  inFile: Located,
  file: string | undefined,
  words: ConfigWords,
  given: PartialConfig,
): Loaded {
  const onCommandLine = withProfilePath(
    [ofSettings(words.set ?? []), ofOptions({ ...given, profile: words.profile })]
      .map((each) => inWordsOf(Config, each))
      .reduce(merged),
    '.',
  )
  const profile = childOf(onCommandLine, 'profile') ?? childOf(inFile, 'profile')
  const files = merged(profile === undefined ? NOTHING : profileLayer(profile), inFile)
  // The files must be right without the command line, whatever it takes back of them.
  fit(Config, withoutNulls(Config, files))
  const said = withoutNulls(Config, merged(files, onCommandLine))
  return { config: fit(Config, said), said, file }
}

/** What a configuration file says. `source` is its name in complaints. */
function readLayer(text: string, source: string): Located {
  const located = locate(text, source)
  return isNothing(located) ? NOTHING : inWordsOf(Config, located)
}

/** With the place of a profile that is no shipped one, wherever the program runs. */
function withProfilePath(layer: Located, folder: string): Located {
  const named = childOf(layer, 'profile')
  const name = named && textOf(named)
  if (named === undefined || name?.includes('/') !== true) return layer
  return merged(layer, locatedOf({ profile: resolve(folder, name) }, named.place))
}

/** @param named the value of `profile`: anything else than a text is complained of with all other mistakes */
function profileLayer(named: Located): Located {
  const name = textOf(named)
  if (name === undefined) return NOTHING
  const file = profileFile(name)
  if (file === undefined)
    throw new UsageError(
      `${placeText(named.place)}: profile: there is no ${name}; there are ${PROFILES.join(', ')}, or say a path (./${name})`,
    )
  const layer = readLayer(
    isShipped(file) ? readFileSync(file, 'utf8') : readTrusted(file, 'the profile'),
    file,
  )
  if (layer.content.kind !== 'map')
    throw new UsageError(`${placeText(layer.place)}: a profile is a map of keys`)
  const nested = childOf(layer, 'profile')
  if (nested === undefined) return layer
  throw new UsageError(`${placeText(nested.place)}: profile: a profile does not name another one`)
}

const textOf = ({ content }: Located): string | undefined =>
  content.kind === 'scalar' && typeof content.value === 'string' ? content.value : undefined
