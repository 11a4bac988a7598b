//! Formats of `printf`: which arguments they take (C11, 7.21.6.1, and the positions of POSIX).

use std::fmt;

/// The most arguments of one call.
pub const MAX_ARGUMENTS: usize = 255;

/// What a conversion takes from the variable arguments, after the default argument promotions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FormatArgument {
    /// an integer
    Int(super::Int),
    /// `double`
    Double,
    /// `long double`
    LongDouble,
    /// `char *`
    Str(Precision),
    /// `wchar_t *`
    WideStr(Precision),
    /// `void *`: printed, not followed
    Pointer,
}

/// How much of a string is read at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// up to its end
    None,
    /// so many characters
    Given(u32),
    /// as many as the argument of this number says, if that is not negative
    Argument(u32),
}

/// What is wrong with a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatError {
    /// byte offset of the conversion
    pub at: usize,
    /// why it is refused
    pub why: String,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {} of the format: {}", self.at, self.why)
    }
}

impl std::error::Error for FormatError {}

const fn int(native_bytes: u8, guest_bytes: u8, signed: bool) -> FormatArgument {
    FormatArgument::Int(super::Int { native_bytes, guest_bytes, signed })
}

/// The arguments that a format takes, in order.
///
/// # Errors
/// [`FormatError`] for what is no conversion of `printf`, for `%n`, and for positions with gaps or of two types.
pub fn arguments(format: &[u8]) -> Result<Vec<FormatArgument>, FormatError> {
    let mut reader = Reader { format, at: 0, start: 0, taken: Vec::new(), positional: None };
    while reader.at < format.len() {
        reader.start = reader.at;
        if reader.next() == Some(b'%') && !reader.accept(b'%') {
            reader.conversion()?;
        }
    }
    let taken = reader.taken.iter().enumerate();
    let all: Result<_, _> = taken
        .map(|(i, argument)| {
            argument.ok_or_else(|| FormatError {
                at: 0,
                why: format!("argument {} is not used by it, so nobody can tell its type", i + 1),
            })
        })
        .collect();
    all
}

struct Reader<'a> {
    format: &'a [u8],
    at: usize,
    /// where the conversion begins
    start: usize,
    taken: Vec<Option<FormatArgument>>,
    /// whether arguments are taken by position, once that is known
    positional: Option<bool>,
}

impl Reader<'_> {
    fn peek(&self) -> u8 {
        self.format.get(self.at).copied().unwrap_or(0)
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.format.get(self.at).copied();
        self.at += 1;
        byte
    }

    fn accept(&mut self, byte: u8) -> bool {
        let found = self.at < self.format.len() && self.peek() == byte;
        self.at += usize::from(found);
        found
    }

    fn error<T>(&self, why: impl Into<String>) -> Result<T, FormatError> {
        Err(FormatError { at: self.start, why: why.into() })
    }

    fn number(&mut self) -> Result<Option<u32>, FormatError> {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        if self.at == start {
            return Ok(None);
        }
        let digits = std::str::from_utf8(&self.format[start..self.at]).unwrap_or_default();
        match digits.parse::<u32>().ok().filter(|&number| number <= i32::MAX as u32) {
            Some(number) => Ok(Some(number)),
            None => self.error("a number that is no `int`"),
        }
    }

    /// `12$`, if it stands here.
    fn position(&mut self) -> Result<Option<u32>, FormatError> {
        let start = self.at;
        if let Some(number) = self.number()?
            && self.accept(b'$')
        {
            return match number {
                0 => self.error("arguments are counted from 1"),
                number => Ok(Some(number - 1)),
            };
        }
        self.at = start;
        Ok(None)
    }

    /// Takes an argument; its number.
    fn take(&mut self, position: Option<u32>, argument: FormatArgument) -> Result<u32, FormatError> {
        if *self.positional.get_or_insert(position.is_some()) != position.is_some() {
            return self.error("arguments with a position (`%1$d`) and without one do not go together");
        }
        let index = position.unwrap_or(self.taken.len() as u32);
        if index as usize >= MAX_ARGUMENTS {
            return self.error(format!("more than {MAX_ARGUMENTS} arguments"));
        }
        if self.taken.len() <= index as usize {
            self.taken.resize(index as usize + 1, None);
        }
        match &mut self.taken[index as usize] {
            Some(other) if !alike(*other, argument) => {
                self.error(format!("argument {} is used with two types", index + 1))
            }
            place => {
                *place = Some(argument);
                Ok(index)
            }
        }
    }

    /// `*` or `*1$`: an `int`.
    fn star(&mut self) -> Result<Option<u32>, FormatError> {
        if !self.accept(b'*') {
            return Ok(None);
        }
        let position = self.position()?;
        self.take(position, int(4, 4, true)).map(Some)
    }

    fn conversion(&mut self) -> Result<(), FormatError> {
        let position = self.position()?;
        while matches!(self.peek(), b'-' | b'+' | b' ' | b'#' | b'0' | b'\'' | b'I') {
            self.at += 1;
        }
        if self.star()?.is_none() {
            self.number()?;
        }
        let precision = match self.accept(b'.') {
            false => Precision::None,
            true => match self.star()? {
                Some(argument) => Precision::Argument(argument),
                None if self.accept(b'-') => {
                    self.number()?;
                    Precision::None
                }
                None => Precision::Given(self.number()?.unwrap_or(0)),
            },
        };
        let start = self.at;
        while matches!(self.peek(), b'h' | b'l' | b'j' | b'z' | b't' | b'L' | b'q' | b'Z') {
            self.at += 1;
        }
        let length = self.format[start..self.at].to_vec();
        let Some(letter) = self.next() else { return self.error("the conversion has no end") };
        let wide = length == b"l";
        let argument = match letter {
            b'd' | b'i' | b'o' | b'u' | b'x' | b'X' | b'b' | b'B' => {
                self.integer(&length, matches!(letter, b'd' | b'i'))?
            }
            b'a' | b'A' | b'e' | b'E' | b'f' | b'F' | b'g' | b'G' => match &length[..] {
                b"" | b"l" => FormatArgument::Double,
                b"L" => FormatArgument::LongDouble,
                _ => return self.unknown(),
            },
            b'c' | b'C' if length.is_empty() || wide => int(4, 4, letter == b'c' && !wide),
            b's' if length.is_empty() => FormatArgument::Str(precision),
            b'S' if length.is_empty() => FormatArgument::WideStr(precision),
            b's' if wide => FormatArgument::WideStr(precision),
            b'p' if length.is_empty() => FormatArgument::Pointer,
            b'm' if length.is_empty() => return Ok(()),
            b'n' => return self.error("`%n` writes through a pointer, and is refused"),
            _ => return self.unknown(),
        };
        self.take(position, argument).map(drop)
    }

    fn integer(&self, length: &[u8], signed: bool) -> Result<FormatArgument, FormatError> {
        Ok(match length {
            b"" | b"h" | b"hh" => int(4, 4, signed),
            b"l" | b"z" | b"t" | b"Z" => int(8, 4, signed),
            b"ll" | b"j" | b"q" | b"L" => int(8, 8, signed),
            _ => return self.unknown(),
        })
    }

    fn unknown<T>(&self) -> Result<T, FormatError> {
        let text = String::from_utf8_lossy(&self.format[self.start..self.at.min(self.format.len())]).into_owned();
        self.error(format!("`{text}` is no conversion of `printf`"))
    }
}

/// Whether two conversions take the same argument.
fn alike(a: FormatArgument, b: FormatArgument) -> bool {
    use FormatArgument::{Int, Str, WideStr};
    match (a, b) {
        (Int(a), Int(b)) => (a.native_bytes, a.guest_bytes) == (b.native_bytes, b.guest_bytes),
        // A string without a bound must be looked at to its end, so only the same bound will do.
        (Str(a), Str(b)) | (WideStr(a), WideStr(b)) => a == b,
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The arguments as letters: i int, l long, q long long (capital letters unsigned), d double, D long double, s, w, p; with precisions.
    fn letters(format: &str) -> String {
        let letter = |argument: FormatArgument| match argument {
            FormatArgument::Int(int) => {
                let letter = match (int.native_bytes, int.guest_bytes) {
                    (4, 4) => "i",
                    (8, 4) => "l",
                    _ => "q",
                };
                if int.signed { letter.to_owned() } else { letter.to_uppercase() }
            }
            FormatArgument::Double => "d".to_owned(),
            FormatArgument::LongDouble => "D".to_owned(),
            FormatArgument::Str(Precision::None) => "s".to_owned(),
            FormatArgument::Str(Precision::Given(n)) => format!("s{n}"),
            FormatArgument::Str(Precision::Argument(n)) => format!("s*{n}"),
            FormatArgument::WideStr(_) => "w".to_owned(),
            FormatArgument::Pointer => "p".to_owned(),
        };
        match arguments(format.as_bytes()) {
            Ok(arguments) => arguments.into_iter().map(letter).collect::<Vec<_>>().join(" "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn each_conversion_takes_its_argument() {
        for (format, expected) in [
            ("plain 100%%", ""),
            ("%d %i %u %x %X %o", "i i I I I I"),
            ("%hhd %hu %ld %lu %lld %llx %jd %zu %td %zd %qd", "i I l L q Q q L l l q"),
            ("%f %e %g %a %lf %Lf", "d d d d d D"),
            ("%c %lc %s %ls %S %p %m", "i I s w w p"),
            ("%*d|%-*.*f|%.*s|%.3s|%.s|%.-1s", "i i i i d i s*5 s3 s0 s"),
            ("%+ #0'5d", "i"),
            ("%2$s %1$d %2$s", "i s"),
            ("%1$*2$d", "i i"),
            ("%2$.*1$s", "i s*0"),
        ] {
            assert_eq!(letters(format), expected, "{format}");
        }
    }

    #[test]
    fn what_is_refused() {
        for (format, expected) in [
            ("a %n", "byte 2 of the format: `%n` writes"),
            ("%hn", "byte 0 of the format: `%n` writes"),
            ("%5$n%5$d", "`%n`"),
            ("%", "the conversion has no end"),
            ("abc%-", "byte 3 of the format: the conversion has no end"),
            ("%y", "`%y` is no conversion"),
            ("%hf", "`%hf` is no conversion"),
            ("%lp", "`%lp` is no conversion"),
            ("%hhhd", "`%hhhd` is no conversion"),
            ("%2$d", "argument 1 is not used"),
            ("%1$d %d", "do not go together"),
            ("%1$d %1$s", "argument 1 is used with two types"),
            ("%1$s %1$.3s", "argument 1 is used with two types"),
            ("%0$d", "counted from 1"),
            ("%99999999999d", "no `int`"),
            ("%256$d", "more than 255"),
        ] {
            let found = letters(format);
            assert!(found.contains(expected), "{format}: {found}");
        }
        assert!(letters(&"%d".repeat(256)).contains("more than 255"));
        assert_eq!(arguments("%d".repeat(255).as_bytes()).unwrap().len(), 255);
    }

    #[test]
    fn no_bytes_panic() {
        let mut state = 1u64;
        for _ in 0..20_000 {
            let mut format = Vec::new();
            for _ in 0..8 {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let bytes = b"%%%*.$1290hlLzjtdsnpfc-+ \xff";
                format.push(bytes[(state >> 40) as usize % bytes.len()]);
            }
            let _ = arguments(&format);
        }
    }
}
