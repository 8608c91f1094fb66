// Masks of the tokens of the launch. Token t sees the rows of the KV cache from `first` to `end` - 1, and row `end` + i for
// every bit i of `ancestors`. The binding `tokens` has two vec4s per token: (row, position, first, end) and
// (ancestors, 0, 0, 0).
struct VisibleRows {
    first: u32,
    end: u32,
    ancestors: u32,
}

fn visible_rows(t: u32) -> VisibleRows {
    let at = 2u * (params.token0 + t);
    let range = tokens[at].zw;
    return VisibleRows(range.x, range.y, tokens[at + 1u].x);
}

// One past the last visible row.
fn visible_end(token: VisibleRows) -> u32 {
    return token.end + 32u - countLeadingZeros(token.ancestors);
}

// Whether the token sees `row`. Short-circuit operators would be branches, so there are none.
fn sees(token: VisibleRows, row: u32) -> bool {
    // Wraps to a large number for rows before `end`.
    let bit = row - token.end;
    let is_ancestor = (bit < 32u) & (((token.ancestors >> (bit & 31u)) & 1u) == 1u);
    return (row >= token.first) & ((row < token.end) | is_ancestor);
}
