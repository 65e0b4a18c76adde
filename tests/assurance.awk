# SPDX-License-Identifier: BSD-2-Clause
# Makes doc/assurance.md of its text, tests/assurance.in, and the logs that part.sh has written; for assurance.sh.
#
#   awk -v directory=D -v expected="PART..." -f assurance.awk text D/PART.log...
#
# What tests print for programs to read is lines of KEY=VALUE; the first key is a line's kind. Lines of the text that
# begin with @ are replaced by what the logs say:
#
#   @head @parts @tiers @models @suspend @planted @races   as below
#   @table KIND PART GOOD COLUMN...  a row for each line of a part (-: of any); GOOD: the result to count (-: none);
#                                    without columns: all keys
#   @rest                            a table of each kind that has none elsewhere
#
# What failed, was cut off or is not there is said at its place and at @head; then the exit status is 1.

function put(line)
{
    page = page line "\n"
}

function bad(what)
{
    problems = problems "\n  - " what
    return "**" what "**"
}

# The value of a key in a line; "" if it is not there.
function value(line, key,    words, n, i)
{
    n = split(line, words, " ")
    for (i = 1; i <= n; i++)
        if (index(words[i], key "=") == 1)
            return substr(words[i], length(key) + 2)
    return ""
}

function is_good(result)
{
    return result == "ok" || result == "ok-so-far" || result == "found" || result == "skipped"
}

# A result as it stands in a table. only: which is the good one ("" or -: any).
function shown(result, of, only)
{
    return is_good(result) && (only == "" || only == "-" || result == only) ? result : bad((result == "" ? "NO RESULT" : result) ": " of)
}

# Which of a line's words is not KEY=VALUE: such a line is a remark, and no test makes one if all is well.
function is_remark(line)
{
    return line ~ / [^ =]+( |$)/
}

function duration(seconds)
{
    return seconds < 100 ? sprintf("%.0f s", seconds) : sprintf("%.0f min", seconds / 60)
}

# --- Reading -------------------------------------------------------------------------------------
FNR == 1 {
    part = FILENAME
    if (index(part, directory "/") == 1) {
        part = substr(part, length(directory) + 2)
        sub(/\.log$/, "", part)
        has_log[part] = 1
        if (part != "about" && index(" " expected " ", " " part " ") == 0)
            expected = expected " " part
    } else {
        part = ""
    }
}

part == "" {
    text[++text_lines] = $0
    next
}

part == "about" {
    about = about "- " $0 "\n"
    next
}

/^part=/ {
    end_of[part] = $0
    next
}

/[^ ]/ { # why it was skipped, if it was
    last_of[part] = $0
}

/^HARENA_TEST_SEED=[0-9]+ / {
    seed_of[part] = value($0, "HARENA_TEST_SEED")
}

/^[0-9]+%: Checks: / {
    checks_of[part] += $3
}

{
    line = $0
    sub(/^(spin|aarch64) /, "", line)
    if (line !~ /^[a-z][a-z0-9_-]*=[^ ]/)
        next
    kind = line
    sub(/=.*/, "", kind)
    if (!(kind in kinds))
        kind_names[++kind_count] = kind
    n = ++kinds[kind]
    lines[kind, n] = line
    part_of[kind, n] = part
}

# --- Parts ---------------------------------------------------------------------------------------

# What a part came to; what is wrong with it is remembered once.
function result_of(part,    result)
{
    if (part in came_to)
        return came_to[part]
    if (!(part in has_log))
        result = bad("NOT RUN: " part)
    else if (!(part in end_of))
        result = bad("CUT OFF: " part)
    else if (!is_good(result = ended(part, "result")))
        result = bad("FAILED: " part ", status " ended(part, "status"))
    else if (result == "skipped")
        result = "skipped (" last_of[part] ")"
    came_to[part] = result
    return result
}

# A key of what part.sh says in the end.
function ended(part, key)
{
    return part in end_of ? value(end_of[part], key) : ""
}

# Says so if what a table is made of did not end well.
function source(part)
{
    if (result_of(part) != "ok")
        put(result_of(part) "; what follows is not all.\n")
}

function none(kind)
{
    put(bad("NOTHING: no line of the kind " kind " in these logs"))
}

function head(    i, n, parts, commit, seconds, first, last, load, skipped)
{
    n = split(expected, parts, " ")
    for (i = 1; i <= n; i++) {
        if (result_of(parts[i]) ~ /^skipped/)
            skipped = skipped (skipped == "" ? "" : ", ") parts[i]
        if (!(parts[i] in end_of))
            continue
        if (index(" " commit " ", " " ended(parts[i], "commit") " ") == 0)
            commit = commit (commit == "" ? "" : " ") ended(parts[i], "commit")
        seconds += ended(parts[i], "seconds")
        if (first == "" || ended(parts[i], "began") < first)
            first = ended(parts[i], "began")
        if (ended(parts[i], "began") > last)
            last = ended(parts[i], "began")
        if (ended(parts[i], "load") + 0 > load + 0)
            load = ended(parts[i], "load")
    }
    if (commit == "")
        commit = bad("NO COMMIT: nothing has run")
    else if (commit ~ / /)
        commit = bad("SEVERAL COMMITS: " commit)
    else if (commit ~ /\+|unknown/)
        commit = bad("NOT A COMMIT: " commit)
    return "- commit: " commit "\n" \
        "- begun " first ", its last part " last "; the " n " parts took " duration(seconds) " together\n" \
        about "- load when a part began: " load + 0 " at most\n" \
        "- skipped: " (skipped == "" ? "nothing" : skipped) "\n" \
        "- failed, cut off or not run: " (problems == "" ? "nothing" : problems) "\n"
}

function put_parts(    i, n, parts)
{
    n = split(expected, parts, " ")
    put("| part | result | Check's tests | seconds | load | seed |")
    put("|---|---|---:|---:|---:|---|")
    for (i = 1; i <= n; i++)
        put("| " parts[i] " | " result_of(parts[i]) " | " checks_of[parts[i]] " | " ended(parts[i], "seconds") \
            " | " ended(parts[i], "load") " | " seed_of[parts[i]] " |")
}

# aarch64.sh tells of each test; the others end with a line of their sums (summary.sh).
function add_aarch64(    n, result)
{
    used["test"] = 1
    for (n = 1; n <= kinds["test"]; n++) {
        result = value(lines["test", n], "result")
        sums_of[part_of["test", n]]++
        sums_of[part_of["test", n], result == "ok" ? "passed" : result == "skipped" ? "skipped" : "failed"]++
    }
}

function tier_row(part, tier, compiler, tests, passed, skipped, failed, checks, reports)
{
    if (failed + reports > 0)
        failed = bad("FAILED: " failed + 0 " tests, " reports + 0 " reports of " tier " " compiler)
    put("| " part " | " result_of(part) " | " tier " | " compiler " | " tests " | " passed " | " skipped " | " failed " | " checks \
        " | " reports " | " ended(part, "seconds") " |")
}

function put_tiers(    i, n, parts, p, line, has)
{
    used["tier"] = 1
    add_aarch64()
    n = split(expected, parts, " ")
    put("| part | result | tier | compiler | tests | passed | skipped | failed | Check's | reports | seconds |")
    put("|---|---|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for (i = 1; i <= kinds["tier"]; i++) {
        line = lines["tier", i]
        has[part_of["tier", i]] = 1
        tier_row(part_of["tier", i], value(line, "tier"), value(line, "compiler"), value(line, "tests"), value(line, "passed"),
            value(line, "skipped"), value(line, "failed"), value(line, "checks"), value(line, "reports"))
    }
    for (i = 1; i <= n; i++) {
        p = parts[i]
        if (p !~ /^(quick|tiers)\// || p in has)
            continue
        if (result_of(p) == "ok" && !(p in sums_of))
            bad("NOTHING: " p " has no sums")
        tier_row(p, "", "", sums_of[p], sums_of[p, "passed"], sums_of[p, "skipped"], sums_of[p, "failed"] + 0)
    }
}

# --- Tables --------------------------------------------------------------------------------------

# The rule below a heading row.
function ruled(row)
{
    put(row)
    gsub(/[^|]+/, "---", row)
    put(row)
}

function keys_of(kind, from, keys,    n, i, j, words, key, has)
{
    for (n = 1; n <= kinds[kind]; n++) {
        if ((from != "-" && part_of[kind, n] != from) || is_remark(lines[kind, n]))
            continue
        j = split(lines[kind, n], words, " ")
        for (i = 2; i <= j; i++) {
            key = words[i]
            sub(/=.*/, "", key)
            if (!(key in has)) {
                has[key] = 1
                keys[++has[""]] = key
            }
        }
    }
    return has[""] + 0
}

# table_columns: as split made them, from `first` on; none: all keys.
function put_table(kind, from, good, table_columns, first, last,    keys, count, n, i, cell, row, all, found, remarks)
{
    used[kind] = 1
    if (from != "-")
        source(from)
    for (i = first; i <= last; i++)
        keys[++count] = table_columns[i]
    if (count == 0)
        count = keys_of(kind, from, keys)
    row = "| " kind " |"
    for (i = 1; i <= count; i++)
        row = row " " keys[i] " |"
    gsub("_", " ", row)
    for (n = 1; n <= kinds[kind]; n++) {
        if (from != "-" && part_of[kind, n] != from)
            continue
        if (is_remark(lines[kind, n])) {
            remarks = remarks "\n- `" lines[kind, n] "`"
            continue
        }
        if (all++ == 0)
            ruled(from == "-" ? "| part " row : row)
        row = (from == "-" ? "| " part_of[kind, n] " " : "") "| " value(lines[kind, n], kind) " |"
        for (i = 1; i <= count; i++) {
            cell = value(lines[kind, n], keys[i])
            if (keys[i] == "result")
                cell = shown(cell, kind " " value(lines[kind, n], kind), good)
            gsub(",", ", ", cell)
            row = row " " cell " |"
        }
        put(row)
        found += value(lines[kind, n], "result") == good
    }
    if (all == 0)
        none(kind)
    else if (good != "-")
        put("\n" good ": " found " of " all ".")
    if (remarks != "")
        put("\n" bad("FAILED: remarks of " kind) "\n" remarks)
}

function put_rest(    i)
{
    for (i = 1; i <= kind_count; i++) {
        if (kind_names[i] in used)
            continue
        put("### " kind_names[i] "\n")
        put_table(kind_names[i], "-", "-", word, 1, 0)
        put("")
    }
}

function put_models(    n, i, m, line, order, count, cell, tier, total, seconds, faults)
{
    used["model"] = used["mutations"] = 1
    source("quick/check")
    source("long/tests/model/models")
    for (n = 1; n <= kinds["mutation"]; n++)
        if (value(lines["mutation", n], "result") == "found")
            faults[value(lines["mutation", n], "model")]++
    for (n = 1; n <= kinds["model"]; n++) {
        line = lines["model", n]
        m = value(line, "model")
        tier = part_of["model", n] ~ /^quick/ ? "quick" : value(line, "bound") == "all" ? "all" : "long"
        if (!((m, "threads") in cell))
            order[++count] = m
        cell[m, "threads"] = value(line, "threads")
        cell[m, tier] = (tier == "all" ? "" : value(line, "bound") " | ") value(line, "schedules") \
            (value(line, "result") == "ok-so-far" ? "+" : "")
        if (!is_good(value(line, "result")))
            cell[m, tier] = cell[m, tier] " " shown(value(line, "result"), "model " m)
        if (tier != "quick") {
            total += value(line, "schedules")
            seconds += value(line, "seconds")
        }
    }
    if (count == 0) {
        none("model")
        return
    }
    put("| model | threads | preemptions | schedules, quick | preemptions | schedules, long | schedules, no bound | faults found |")
    put("|---|---:|---:|---:|---:|---:|---:|---:|")
    for (i = 1; i <= count; i++) {
        m = order[i]
        put("| " m " | " cell[m, "threads"] " | " ((m, "quick") in cell ? cell[m, "quick"] : "|") " | " \
            ((m, "long") in cell ? cell[m, "long"] : "|") " | " cell[m, "all"] " | " faults[m] " |")
    }
    put(sprintf("\n%d models; %.0f schedules in the long tier, %s of one processor.", count, total, duration(seconds)))
}

function put_planted(    n, i, j, k, kind, line, key, has, names, cell, row, planted)
{
    used["planted"] = 1
    source("tiers/tsan-gcc")
    source("tiers/tsan-clang")
    for (n = 1; n <= kinds["planted"]; n++) {
        line = lines["planted", n]
        key["mode"] = value(line, "planted")
        key["flavour"] = value(line, "flavour")
        key["build"] = part_of["planted", n]
        for (kind in key)
            if (!((kind, key[kind]) in has)) {
                has[kind, key[kind]] = 1
                names[kind, ++has[kind]] = key[kind]
            }
        planted = key["build"] SUBSEP key["mode"] SUBSEP key["flavour"]
        if (!(planted in cell) || value(line, "result") != "found")
            cell[planted] = value(line, "result") # a good twin that is reported has none
    }
    if (kinds["planted"] == 0) {
        none("planted")
        return
    }
    row = "| planted race | build |"
    for (i = 1; i <= has["flavour"]; i++)
        row = row " " names["flavour", i] " |"
    ruled(row)
    for (j = 1; j <= has["mode"]; j++)
        for (k = 1; k <= has["build"]; k++) {
            row = "| " names["mode", j] " | " names["build", k] " |"
            gsub("_", " ", row)
            for (i = 1; i <= has["flavour"]; i++) {
                planted = names["build", k] SUBSEP names["mode", j] SUBSEP names["flavour", i]
                row = row " " shown(cell[planted], "planted " names["mode", j] ", " names["flavour", i] ", " names["build", k], "found") " |"
            }
            put(row)
        }
}

# Adds up the lines of an operation in `sums`, and where a parked thread stopped reclamation.
function add_suspended(op, line,    i, n, at)
{
    sums[op, "flavours"] = sums[op, "flavours"] (sums[op, "flavours"] == "" ? "" : ", ") value(line, "flavor")
    n = split("points progressed in_section stopped", at, " ")
    for (i = 1; i <= n; i++)
        sums[op, at[i]] += value(line, at[i])
    if (value(line, "held_bytes") + 0 > sums[op, "held"] + 0)
        sums[op, "held"] = value(line, "held_bytes")
    n = split(value(line, "at"), at, ",")
    for (i = 1; i <= n; i++) {
        if (at[i] == "none")
            continue
        if (!(at[i] in met))
            places[++place_count] = at[i]
        if (index(met[at[i]] ",", " " op ",") == 0)
            met[at[i]] = met[at[i]] (met[at[i]] == "" ? " " : ", ") op
    }
}

function put_suspend(    n, i, op, line, order, count, went_on, points, remarks)
{
    used["suspend"] = 1
    source("long/tests/progress/suspend")
    for (n = 1; n <= kinds["suspend"]; n++) {
        line = lines["suspend", n]
        op = value(line, "suspend")
        if (is_remark(line)) {
            remarks = remarks "\n- `" line "`"
            continue
        }
        if (!((op, "points") in sums))
            order[++count] = op
        add_suspended(op, line)
        points += value(line, "points")
    }
    if (count == 0)
        none("suspend")
    if (remarks != "")
        put(bad("FAILED: remarks of suspend") "\n" remarks "\n")
    put("| operation | flavours | parked points | the others went on | in a section | reclamation stopped | bytes held at most |")
    put("|---|---|---:|---:|---:|---:|---:|")
    for (i = 1; i <= count; i++) {
        op = order[i]
        went_on = sums[op, "progressed"]
        if (went_on != sums[op, "points"])
            went_on = went_on " " bad("FAILED: suspend " op)
        put("| " op " | " sums[op, "flavours"] " | " sums[op, "points"] " | " went_on " | " sums[op, "in_section"] " | " \
            sums[op, "stopped"] " | " sums[op, "held"] + 0 " |")
    }
    put("\n" points + 0 " parked points.\n")
    ruled("| parked in | reclamation stopped; met in |")
    for (i = 1; i <= place_count; i++)
        put("| " (places[i] == "unnamed" ? bad("FAILED: reclamation stopped at unknown instructions") : "`" places[i] "`") \
            " |" met[places[i]] " |")
}

# Each test of a race: how often it ran, and rounds in all.
function put_races(    n, r, line, order, count, runs, rounds, threads, total)
{
    used["race"] = 1
    for (n = 1; n <= kinds["race"]; n++) {
        line = lines["race", n]
        if (part_of["race", n] !~ /^long\//)
            continue
        r = value(line, "race") " | " value(line, "test")
        if (!(r in runs))
            order[++count] = r
        runs[r]++
        rounds[r] += value(line, "rounds")
        if (value(line, "threads") + 0 > threads[r] + 0)
            threads[r] = value(line, "threads")
    }
    if (count == 0) {
        none("race")
        return
    }
    put("| tests/race | test | runs | threads | rounds |")
    put("|---|---|---:|---:|---:|")
    for (n = 1; n <= count; n++) {
        r = order[n]
        put("| " r " | " runs[r] " | " threads[r] " | " rounds[r] " |")
        total += rounds[r]
    }
    put(sprintf("\n%d tests, %.0f rounds.", count, total))
}

# --- The page ------------------------------------------------------------------------------------
END {
    for (at_line = 1; at_line <= text_lines; at_line++) {
        count = split(text[at_line], word, " ")
        if (word[1] == "@head") {
            before = page
            page = ""
        }
        else if (word[1] == "@parts") put_parts()
        else if (word[1] == "@tiers") put_tiers()
        else if (word[1] == "@models") put_models()
        else if (word[1] == "@suspend") put_suspend()
        else if (word[1] == "@planted") put_planted()
        else if (word[1] == "@races") put_races()
        else if (word[1] == "@table") put_table(word[2], word[3], word[4], word, 5, count)
        else if (word[1] == "@rest") put_rest()
        else put(text[at_line])
    }
    printf "%s%s%s", before, head(), page
    exit problems != ""
}
