# Turns the comments of the headers into Doxygen's: the one at the top is the file's, "---- title ----" begins a group, what
# stands above a declaration or behind it on its line is its. Names in comments are text, not markup.

function escape(s) {
    gsub(/[\\@#%$&<>"]/, "\\\\&", s)
    return s
}

# The text of a comment line; formulas, which are indented, keep their lines.
function text(line) {
    sub(/^ *\/\/ ?/, "", line)
    sub(/ *----$/, "", line) # the end of a title over two lines
    return line
}

function put(lines, n, mark,    i, formula, indented) {
    formula = 0
    for (i = 1; i <= n; i++) {
        indented = lines[i] ~ /^    /
        if (indented && !formula)
            print mark " @verbatim"
        if (!indented && formula)
            print mark " @endverbatim"
        formula = indented
        print mark " " (indented ? lines[i] : escape(lines[i]))
    }
    if (formula)
        print mark " @endverbatim"
}

# What was collected, before a line that is no comment.
function flush(next_line,    blank) {
    blank = next_line ~ /^[ \t]*$/
    if (section != "") {
        if (open)
            print "/// @}"
        print "/// @name " escape(section)
        if (count > 0 && blank) {
            put(block, count, "///")
            count = 0
        }
        print "/// @{"
        open = 1
        section = ""
    }
    if (count > 0 && !seen_file) {
        print "/// @file"
        put(block, count, "///")
        seen_file = 1
    } else if (count > 0 && !blank) {
        put(block, count, "///")
    }
    count = 0
}

in_macro { # the rest of a definition over several lines
    print
    in_macro = /\\$/
    next
}

/^ +\/\/ ----/ { # within a struct
    flush("")
    next
}

/^\/\/ ---- / { # "---- title ----", or "---- title: what it is about."
    flush("")
    section = $0
    sub(/^\/\/ ---- /, "", section)
    if (!sub(/ ----$/, "", section) && match(section, /: /)) {
        block[++count] = substr(section, RSTART + 2)
        section = substr(section, 1, RSTART - 1)
    }
    next
}

/^ *\/\// {
    match($0, / *\/\//)
    if (trailing > 0 && RLENGTH - 1 == trailing) { # goes on from the line above
        print "///< " escape(text($0))
        next
    }
    trailing = 0
    block[++count] = text($0)
    next
}

{
    flush($0)
    trailing = 0
    if ($0 ~ /^#define/ && $0 ~ /\\$/)
        in_macro = 1
    else if (match($0, /[;,})A-Za-z0-9_] +\/\/ /) && $0 !~ /^#/) {
        at = RSTART + RLENGTH - 3
        trailing = at
        print substr($0, 1, at - 1) "///< " escape(text(substr($0, at)))
        next
    }
    print
}

END {
    flush("")
    if (open)
        print "/// @}"
}
