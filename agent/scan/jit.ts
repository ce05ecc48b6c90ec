import { baseName } from '../detect/nodes.ts'
import type { WritableCode } from './memory.ts'
import { programPathOf } from './program-path.ts'

/** Programs that write the code they run. A name is no proof, but who takes one of these only loses this weight. */
const PROGRAMS =
  /^(?:node|nodejs|deno|bun|java|javaws|dotnet|mono(?:-sgen)?|beam\.smp|erl|luajit|pypy\d*(?:\.\d+)?|php|php-fpm|php-cgi|julia|ruby|guile|sbcl|ghc|racket|chrome|chromium|electron|firefox(?:-esr)?|thunderbird|code|WebKitWebProcess|QtWebEngineProcess|gjs|gnome-shell|plasmashell|polkitd|Xorg|Xwayland|Xephyr|wine(?:64)?(?:-preloader)?|qemu-[\w-]+|valgrind|memcheck-[\w-]+|clamd|freshclam)(?:[\d.]*)$/
/** Libraries that do it for the programs that load them. */
const LIBRARIES =
  /^(?:libjvm|libnode|libv8|libmonosgen|libmono|libcoreclr|libclrjit|libluajit|libmozjs|libjavascriptcore|libLLVM|libgccjit|libguile|libclamav|libpypy|libwasmtime|libwasmer|libdotnet|libQt\dWebEngineCore|libgallium|swrast_dri|opcache|luajit)\b/
/** Regular expressions are compiled, too, and nearly everything loads the library (SELinux does): in portions of this size. */
const EXPRESSIONS = /^libpcre2?[-\d.]/
const EXPRESSIONS_BYTES = 65_536
const LIBRARY_PLACE = /^\/(?:usr|lib|lib64|opt|snap|nix|gnu|app)\//

/** Whether a program compiles at run time, by its name. */
export const isJitProgram = (exe: string): boolean => PROGRAMS.test(baseName(programPathOf(exe)))

/** Whether a process has a reason of its own to execute what it has written. */
export function isJit(exe: string, { files, regionBytes }: WritableCode): boolean {
  if (isJitProgram(exe)) return true
  const loaded = [...files].filter((file) => LIBRARY_PLACE.test(file)).map(baseName)
  if (loaded.some((name) => LIBRARIES.test(name))) return true
  return (
    loaded.some((name) => EXPRESSIONS.test(name)) &&
    regionBytes.every((bytes) => bytes % EXPRESSIONS_BYTES === 0)
  )
}
