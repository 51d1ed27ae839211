"""The grammar of an equation: one set of rules, and the words of plain text and of LaTeX.

A line is cut into words by the terminals below. Juxtaposition, `W x`, binds tighter than an operator; all
operators between factors bind alike, from the left; a sum over time and batch reaches to the end of its
product. docs/formulas.md explains it by examples.
"""

from __future__ import annotations

_RULES = r"""
alone: sum
equation: sum (EQUALS sum)+
        | sum ACCUMULATES sum
?sum: term
    | SIGN term (SIGN term)* -> signed
    | term (SIGN term)+      -> signed
term: product
product: chain
       | chain TIMES product
       | TOTAL product
       | chain TOTAL product
chain: factor+
factor: atom (SUBSCRIPT | SUPERSCRIPT | PRIME)*
?atom: NUMBER                     -> number
     | NAME                       -> name
     | "(" sum ")"                -> parenthesised
     | FUNCTION atom              -> apply
     | DERIVATIVE atom            -> derivative
     | OPEN row (ROW row)* CLOSE  -> blocks
     | other
row: sum (COMMA sum)*
EQUALS: /&?\s*:?=\s*&?/
ACCUMULATES: /&?\s*\+=\s*&?/
SIGN: /[+\-−]/
NUMBER: /\d+(\.\d*)?|\.\d+/
PRIME: "'"
%ignore /[ \t]+/
"""

# Letters are Latin and Greek without Σ; ñ may also be written n and a combining tilde.
PLAIN = (
    _RULES
    + r"""
?other: MATMUL "(" sum COMMA sum ")"      -> matmul
      | SUM_OF "(" sum (COMMA AXIS)? ")"  -> sum_of
      | TRANSPOSE_OF "(" sum ")"          -> transpose_of
LETTER: /[A-Za-z\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u017F\u0370-\u03A2\u03A4-\u03FF\u1E00-\u1EFF]/
MARK: /[\u0302-\u0304\u0307]/
NAME: LETTER (LETTER | MARK | /[0-9]/)* "~"? /(_[A-Za-z0-9]+)*/
FUNCTION.3: /(sigmoid|sigma|logistic|σ|tanh|exp|relu|softplus|rsqrt|diag|mean)'?(?=\s*\()/
MATMUL.3: /(mmul|matmul)(?=\s*\()/
SUM_OF.3: /sum(?=\s*\()/
TRANSPOSE_OF.3: /transpose(?=\s*\()/
AXIS: /axis\s*=\s*0/
DERIVATIVE.4: /[d∂]\s?(L|E|J|ℓ|loss)\s*\/\s*[d∂]/
TOTAL.3: /(Σ|∑|sum(?=_))(_\{[^{}]*\}|_[A-Za-z]+)?(\^\{[^{}]*\}|\^[A-Za-z])?/
SUBSCRIPT: /_(\{[^{}]*\}|[A-Za-z0-9]+)/
SUPERSCRIPT: /\*\*\s*\d+|\^(\{[^{}]*\}|\([^()]*\)|\d+|[A-Za-z]+)|[²³ᵀ]|\.T\b/
TIMES: /[⊙∘@*·×\/]|\\odot|\\circ/
OPEN: "["
CLOSE: "]"
COMMA: ","
ROW: ";"
"""
)

LATEX = (
    _RULES
    + r"""
?other: "{" sum "}"                       -> parenthesised
      | FRACTION "{" sum "}" "{" sum "}"  -> fraction
      | OF_FRACTION factor "}"            -> derivative
      | NABLA factor "}" LOSS             -> derivative
      | ACCENT atom                       -> accented
      | OVERLINE "{" sum "}"              -> overlined
_S: /\s*/
_END: /(?![A-Za-z])/
_GROUP: /\{([^{}]|\{([^{}]|\{[^{}]*\})*\})*\}/
_FONT: /\\(mathbf|mathrm|mathit|mathsf|mathcal|boldsymbol|bm|vec|text|textbf|operatorname)/
_D: "d" | "\\partial" | "\\mathrm{d}"
_WORD: /(sigmoid|sigm|logistic|tanh|exp|relu|softplus|rsqrt|diag|mean)/
_FUNCTION: _FONT "{" _WORD "}" | /\\(sigma|tanh|exp)/ | _WORD
_GREEK: /\\(alpha|beta|gamma|delta|epsilon|zeta|eta|theta|kappa|lambda|mu|nu|xi|pi|rho|sigma|tau|phi|chi|psi)/
      | /\\(omega|Gamma|Delta|Omega|partial|ell)/
NAME: /\\delta\s*\d+/ | /[A-Za-z]/ | _GREEK _END | _FONT /\{\s*[A-Za-z]+\s*\}/ | _FONT /\s+[A-Za-z]/ _END
_ARGUMENT: /(?=\s*(\\[!,;:]\s*)?([({\[]|\\left|\\[bB]ig|[a-z\\]\w*\s*[_^]))/
FUNCTION.3: _FUNCTION _END _S /('|\^\s*\\prime|\^\s*\{\\prime\})?/ _ARGUMENT
FRACTION: /\\[td]?frac/
OF_FRACTION.4: FRACTION _S "{" _S _D _S LOSS _S "}" _S "{" _S _D
DERIVATIVE.4: _D _S LOSS _S "/" _S _D
NABLA: /\\nabla_\s*\{/
LOSS.-1: /(L|E|J|\\ell|\\mathcal\s*(\{\s*[LEJ]\s*\}|[LEJ]))/
ACCENT: /\\(wide)?(tilde|bar|hat|dot)/ _END
OVERLINE: "\\overline"
_LIMIT: _S (_GROUP | /[A-Za-z]/)
TOTAL.3: /\\sum(\s*\\limits)?/ (_S "_" _LIMIT)? (_S "^" _LIMIT)?
SUBSCRIPT: "_" _S (_GROUP | /\\[A-Za-z]+|[A-Za-z0-9]/)
SUPERSCRIPT: "^" _S (_GROUP | /\\[A-Za-z]+|[A-Za-z0-9*]/)
TIMES: /\\(odot|circ|cdot|times|ast)/ _END | /[*@\/]/
OPEN: "[" | /\\begin\{[bp]?matrix\}/
CLOSE: "]" | /\\end\{[bp]?matrix\}/
COMMA: "," | /&(?!\s*=)/
ROW: ";" | "\\\\"
%ignore /~|\\(left|right|[bB]igg?[lrm]?|quad|qquad|displaystyle)(?![A-Za-z])|\\[,;:! ]/
"""
)

#: What the words are called in messages.
WORDS = {
    "NAME": "a name",
    "NUMBER": "a number",
    "LPAR": "(",
    "RPAR": ")",
    "LBRACE": "{",
    "RBRACE": "}",
    "OPEN": "[",
    "CLOSE": "]",
    "SIGN": "+ or −",
    "TIMES": "a product sign",
    "EQUALS": "=",
    "COMMA": "a comma",
    "ROW": "a semicolon",
    "$END": "the end",
}
