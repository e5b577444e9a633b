//! Limits on the structure of a module, checked before it is compiled. A module that would take the compiler minutes
//! and gigabytes can be recognised by its outline, which costs one pass over the file.

use wasmparser::{Parser, Payload};

use crate::error::LoadErrorKind;
use crate::limits::{MAX_COMPONENTS, MAX_CORE_MODULES, MAX_FUNCTION_BYTES, MAX_FUNCTIONS, MAX_NESTING};

/// Fails if a module exceeds a limit. Accepts files that can't be parsed: the next parser reports a better error.
pub(crate) fn check(file: &[u8]) -> Result<(), LoadErrorKind> {
    let mut outline = Outline::default();
    for payload in Parser::new(0).parse_all(file) {
        let Ok(payload) = payload else { return Ok(()) };
        outline.add(&payload).map_err(LoadErrorKind::Structure)?;
    }
    Ok(())
}

#[derive(Default)]
struct Outline {
    depth: usize,
    components: usize,
    modules: usize,
    functions: u64,
}

impl Outline {
    fn add(&mut self, payload: &Payload<'_>) -> Result<(), String> {
        match payload {
            Payload::ComponentSection { .. } => {
                self.depth += 1;
                self.components += 1;
            }
            Payload::ModuleSection { .. } => {
                self.depth += 1;
                self.modules += 1;
            }
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            Payload::FunctionSection(functions) => self.functions += u64::from(functions.count()),
            Payload::CodeSectionEntry(body) if body.range().len() > MAX_FUNCTION_BYTES => {
                return Err(format!("a function of {} KiB", body.range().len() >> 10));
            }
            _ => return Ok(()),
        }
        if self.depth > MAX_NESTING {
            Err(format!("components more than {MAX_NESTING} deep inside one another"))
        } else if self.components > MAX_COMPONENTS {
            Err(format!("more than {MAX_COMPONENTS} components"))
        } else if self.modules > MAX_CORE_MODULES {
            Err(format!("more than {MAX_CORE_MODULES} core modules"))
        } else if self.functions > MAX_FUNCTIONS {
            Err(format!("more than {MAX_FUNCTIONS} functions"))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_text(text: &str) -> String {
        check(&wat::parse_str(text).unwrap()).map_or_else(|problem| problem.to_string(), |()| String::new())
    }

    fn nested(depth: usize) -> String {
        format!("{}{}", "(component ".repeat(depth + 1), ")".repeat(depth + 1))
    }

    #[test]
    fn a_module_that_exceeds_a_limit_is_refused_with_the_limit() {
        assert_eq!(error_text(&nested(MAX_NESTING)), "");
        assert!(error_text(&nested(MAX_NESTING + 1)).contains("deep inside one another"));
        let many = |what: &str, count: usize| error_text(&format!("(component {})", what.repeat(count)));
        assert_eq!(many("(component)", MAX_COMPONENTS), "");
        assert!(many("(component)", MAX_COMPONENTS + 1).contains("components"));
        assert!(many("(core module)", MAX_CORE_MODULES + 1).contains("core modules"));
        let function = |adds: usize| error_text(&format!("(module (func {}))", "(drop (i64.const 1))".repeat(adds)));
        assert_eq!(function(1000), "");
        assert!(function(MAX_FUNCTION_BYTES / 3 + 1).contains("a function of"));
    }

    #[test]
    fn siblings_are_not_nested() {
        assert_eq!(error_text("(component (component (core module) (core module)) (component (component)))"), "");
    }
}
