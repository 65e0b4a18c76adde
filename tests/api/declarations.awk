# SPDX-License-Identifier: BSD-2-Clause
# Reads public headers; prints "FILE:LINE NAME CONTRACT" for each declaration marked HARENA_API.
# CONTRACT is "yes" if the comment right above, or above the first of a group of declarations
# without an empty line in it, has "Thread:" and "Fails:", "no" if not, "variable" for what is not
# called. NAME is "?" if none was recognised.

function finish(    name, told)
{
    told = contract ~ /Thread:/ && contract ~ /Fails:/ ? "yes" : "no"
    gsub(/[A-Z][A-Z0-9_]+(\([^()]*\))?/, " ", declaration)
    if (match(declaration, /harena_[a-z0-9_]*[ \t]*\(/))
        name = substr(declaration, RSTART, RLENGTH - 1)
    else
        for (told = "variable"; match(declaration, /harena_[a-z0-9_]*/); declaration = substr(declaration, RSTART + RLENGTH))
            name = substr(declaration, RSTART, RLENGTH)
    gsub(/[ \t]/, "", name)
    print FILENAME ":" line, (name == "" ? "?" : name), told
    declaration = ""
}

FNR == 1 { contract = ""; declaration = ""; state = "" }

state == "contract" { contract = contract $0 }
state == "contract" || state == "remark" { if (/\*\//) state = ""; next }
state == "body" { if (/^}/) state = ""; next }
state == "macro" { if (!/\\$/) state = ""; next }

declaration == "" && /^[ \t]*$/ { contract = ""; next }
declaration == "" && /^[ \t]*\/\*/ { contract = $0; if (!/\*\//) state = "contract"; next }
declaration == "" && /^[ \t]*#/ { if (/\\$/) state = "macro"; next }

{
    code = $0
    sub(/\/\/.*/, "", code)
    gsub(/\/\*[^*]*\*\//, "", code)
    if (sub(/\/\*.*/, "", code))
        state = "remark"
}
declaration == "" && code !~ /HARENA_API/ { contract = ""; next }
{
    if (declaration == "")
        line = FNR
    declaration = declaration " " code
    if (match(declaration, /[;{]/)) {
        if (substr(declaration, RSTART, 1) == "{" && declaration !~ /}[ \t]*$/)
            state = "body"
        declaration = substr(declaration, 1, RSTART - 1)
        finish()
    }
}
