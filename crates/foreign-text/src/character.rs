//! Which characters are not shown as they are.

/// Whether a character does something other than show itself: a control or format character, a separator of lines, a
/// tag, a filler that is invisible, or one that only a private agreement gives a shape.
///
/// From Unicode 17's categories Cc, Cf, Zl, Zp and Co, noncharacters, and `Default_Ignorable_Code_Point`. Letters,
/// marks, symbols and emoji of every script are shown; a sequence that is joined by U+200D comes apart.
pub fn is_hidden(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
        | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}'
        | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0d}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{fffe}'..='\u{ffff}'
        | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}')
        || u32::from(c) & 0xfffe == 0xfffe
}

/// Whether a character only chooses between a symbol's drawings in text and in colour.
pub(crate) fn chooses_a_drawing(c: char) -> bool {
    matches!(c, '\u{fe0e}' | '\u{fe0f}')
}
