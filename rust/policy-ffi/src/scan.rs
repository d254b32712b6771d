//! Looks at policy text before any parser does.
//!
//! Cedar's parser recurses and has no depth limit: some thousand nested brackets end a process
//! with SIGSEGV, which nothing can catch. So size, nesting and chains are counted here, with a
//! flat loop over bytes, outside strings and comments; what passes is safe on our own stack size.

/// Bytes of one source: 256 KiB of `;` cost the parser one second, more would stall a reload.
pub const SOURCE_BYTES_MAX: usize = 256 << 10;
/// Open brackets at one point of a policy: no readable rule needs more.
pub const POLICY_NESTING_MAX: usize = 64;
/// Same for schemas, whose nested records cost the validator quadratic time.
pub const SCHEMA_NESTING_MAX: usize = 16;
/// Terms joined by `&&`, `||`, `if`, `when`; and inside one term operators, attributes and `::`.
/// Each is one level of the syntax tree.
pub const CHAIN_MAX: u32 = 256;

/// What is wrong, and where (both from 1; columns count bytes).
#[derive(Debug, PartialEq)]
pub struct Finding {
    pub line: usize,
    pub column: usize,
    pub what: &'static str,
}

#[derive(Clone, Copy, Default)]
struct Chain {
    terms: u32,
    steps: u32,
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    /// running chains per open bracket, the last one is the innermost
    chains: Vec<Chain>,
    nesting_max: usize,
    /// nothing stands between here and the last `;`
    empty: bool,
    empty_statements: bool,
}

/// Line and column of a byte offset, both from 1.
pub fn position(text: &[u8], at: usize) -> (usize, usize) {
    let before = &text[..at.min(text.len())];
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
    (line, before.len() - start + 1)
}

/// Checks one policy source; on success it is also known to be UTF-8 without NUL.
pub fn policy(text: &[u8]) -> Result<&str, Finding> {
    check(text, POLICY_NESTING_MAX, false)
}

/// Checks one schema source, where `;;` is not worth a complaint.
pub fn schema(text: &[u8]) -> Result<&str, Finding> {
    check(text, SCHEMA_NESTING_MAX, true)
}

fn finding(text: &[u8], at: usize, what: &'static str) -> Finding {
    let (line, column) = position(text, at);
    Finding { line, column, what }
}

fn check(text: &[u8], nesting_max: usize, empty_statements: bool) -> Result<&str, Finding> {
    if text.len() > SOURCE_BYTES_MAX {
        return Err(finding(text, SOURCE_BYTES_MAX, "file is larger than 256 KiB"));
    }
    if let Some(at) = text.iter().position(|b| *b == 0) {
        return Err(finding(text, at, "NUL byte"));
    }
    let utf8 = match std::str::from_utf8(text) {
        Ok(s) => s,
        Err(e) => return Err(finding(text, e.valid_up_to(), "not UTF-8")),
    };
    let chains = vec![Chain::default()];
    let mut scan = Scan { text, at: 0, chains, nesting_max, empty: true, empty_statements };
    scan.run().map_err(|(at, what)| finding(text, at, what))?;
    Ok(utf8)
}

type Step = Result<(), (usize, &'static str)>;

impl Scan<'_> {
    fn run(&mut self) -> Step {
        while let Some(&b) = self.text.get(self.at) {
            let start = self.at;
            self.at += 1;
            match b {
                b' ' | b'\t' | b'\r' | b'\n' => continue,
                b'/' if self.text.get(self.at) == Some(&b'/') => {
                    self.comment();
                    continue;
                }
                b';' => self.statement(start)?,
                b'"' => self.string(start)?,
                b'(' | b'[' | b'{' => self.open(start)?,
                b')' | b']' | b'}' => self.close(start)?,
                b',' => self.restart(),
                b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.word(start)?,
                b'0'..=b'9' => {}
                _ => self.operator(start)?,
            }
            if b != b';' {
                self.empty = false;
            }
        }
        if self.chains.len() > 1 {
            return Err((self.text.len(), "a bracket is not closed"));
        }
        Ok(())
    }

    fn comment(&mut self) {
        while self.text.get(self.at).is_some_and(|b| *b != b'\n') {
            self.at += 1;
        }
    }

    fn string(&mut self, start: usize) -> Step {
        loop {
            match self.text.get(self.at) {
                None => return Err((start, "a string is not closed")),
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        Ok(())
    }

    fn open(&mut self, start: usize) -> Step {
        if self.chains.len() > self.nesting_max {
            return Err((start, "brackets are nested too deeply"));
        }
        self.chains.push(Chain::default());
        Ok(())
    }

    fn close(&mut self, start: usize) -> Step {
        if self.chains.len() < 2 {
            return Err((start, "a bracket closes nothing"));
        }
        self.chains.pop();
        Ok(())
    }

    /// In a schema `;` also ends members of a namespace, so only the chain restarts there.
    fn statement(&mut self, start: usize) -> Step {
        if self.empty && !self.empty_statements {
            return Err((start, "a `;` ends nothing"));
        }
        self.empty = true;
        self.restart();
        Ok(())
    }

    /// `when` and `unless` are joined into one condition, `if`s hang in one another.
    fn word(&mut self, start: usize) -> Step {
        while self.text.get(self.at).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_') {
            self.at += 1;
        }
        match &self.text[start..self.at] {
            b"if" | b"then" | b"else" | b"when" | b"unless" => self.term(start),
            b"in" | b"has" | b"like" | b"is" => self.step(start),
            _ => Ok(()),
        }
    }

    fn operator(&mut self, start: usize) -> Step {
        let pair = self.text.get(start..start + 2).unwrap_or_default();
        if matches!(pair, b"&&" | b"||" | b"==" | b"!=" | b"<=" | b">=" | b"::") {
            self.at += 1;
        }
        match pair {
            b"&&" | b"||" => self.term(start),
            _ => self.step(start),
        }
    }

    fn term(&mut self, start: usize) -> Step {
        let terms = self.chain().terms + 1;
        *self.chain() = Chain { terms, steps: 0 };
        Self::bounded(terms, start)
    }

    fn step(&mut self, start: usize) -> Step {
        self.chain().steps += 1;
        Self::bounded(self.chain().steps, start)
    }

    fn restart(&mut self) {
        *self.chain() = Chain::default();
    }

    /// `close` keeps the outermost chain, so there is always one.
    fn chain(&mut self) -> &mut Chain {
        let last = self.chains.len() - 1;
        &mut self.chains[last]
    }

    fn bounded(n: u32, start: usize) -> Step {
        if n > CHAIN_MAX {
            return Err((start, "more than 256 operators in a row"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(text: &str) -> &'static str {
        policy(text.as_bytes()).err().map_or("", |f| f.what)
    }

    #[test]
    fn ordinary_text_passes() {
        assert_eq!(what("permit (principal, action, resource) when { \"(((\" like \"*\" }; // )"), "");
        let long = "principal.a.b == A::B::\"x\"".to_string();
        let text = vec![long; 200].join(" && ");
        assert_eq!(what(&text), "");
    }

    #[test]
    fn limits_hold_at_the_edge() {
        let nest = |n| format!("{}1{}", "(".repeat(n), ")".repeat(n));
        assert_eq!(what(&nest(POLICY_NESTING_MAX)), "");
        assert_ne!(what(&nest(POLICY_NESTING_MAX + 1)), "");
        for (unit, per) in [("+1", 1), (".a", 1), ("&&a", 1), ("!", 1), (" if", 1), ("::a", 1)] {
            let n = CHAIN_MAX as usize / per;
            assert_eq!(what(&unit.repeat(n)), "", "{unit}");
            assert_ne!(what(&unit.repeat(n + 1)), "", "{unit}");
        }
        assert_eq!(what(&" ".repeat(SOURCE_BYTES_MAX)), "");
        assert_ne!(what(&" ".repeat(SOURCE_BYTES_MAX + 1)), "");
    }

    #[test]
    fn broken_text_is_located() {
        let f = policy(b"permit\n  ]").err();
        assert_eq!(f, Some(Finding { line: 2, column: 3, what: "a bracket closes nothing" }));
        assert_ne!(what(";;"), "");
        assert_ne!(what("a;;"), "");
        assert_ne!(what("\"abc"), "");
        assert_ne!(what("\"abc\\"), "");
        assert_ne!(what("("), "");
        assert_ne!(what("a\0"), "");
        assert!(policy(b"a\xff").is_err());
        assert!(schema(b"{}").is_ok() && schema(b"a;;b").is_ok());
    }
}
