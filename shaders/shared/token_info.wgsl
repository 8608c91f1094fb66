// Tokens of the launch, two vec4s each: (row, position, first, end) and (ancestors, 0, 0, 0). Token t of the launch is at
// index token0 + t of the binding.
fn token_row(t: u32) -> u32 {
    return tokens[2u * (params.token0 + t)].x;
}

fn token_position(t: u32) -> u32 {
    return tokens[2u * (params.token0 + t)].y;
}
