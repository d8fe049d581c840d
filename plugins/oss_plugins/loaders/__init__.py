"""Loaders for the kinds of files people have: text, web pages, PDF, office, mail, tables, code."""

from __future__ import annotations

from oss.contracts.descriptors import Descriptor
from oss.hookspecs import hookimpl

_HERE = "oss_plugins.loaders"
CODE = (
    ".bash", ".c", ".cc", ".cpp", ".cs", ".css", ".cxx", ".dart", ".el", ".ex", ".exs", ".f90",
    ".go", ".h", ".hpp", ".hs", ".java", ".jl", ".js", ".jsx", ".kt", ".lisp", ".lua", ".m",
    ".ml", ".pas", ".php", ".pl", ".pm", ".proto", ".r", ".rb", ".rs", ".scala", ".sh", ".sql",
    ".swift", ".tcl", ".ts", ".tsx", ".vb", ".vim", ".zig", ".zsh",
)  # fmt: skip
TEXT = (
    ".1", ".2", ".3", ".4", ".5", ".6", ".7", ".8", ".adoc", ".asc", ".bib", ".cfg", ".conf",
    ".diff", ".ini", ".log", ".nfo", ".org", ".patch", ".po", ".properties", ".srt", ".tex",
    ".text", ".toml", ".txt", ".vtt", ".yaml", ".yml",
)  # fmt: skip


def _loader(name: str, summary: str, target: str, *suffixes: str) -> Descriptor:
    return Descriptor(
        name,
        summary,
        f"{_HERE}.{target}",
        capabilities=frozenset(suffixes),
        extra="retrieval",
    )


@hookimpl
def oss_loaders() -> list[Descriptor]:
    """One for each family of formats."""
    return [
        _loader("text", "plain text in any encoding, by line", "text:TextLoader", *TEXT),
        _loader(
            "markdown", "Markdown, by heading and line", "text:MarkdownLoader", ".md", ".markdown",
            ".mdx", ".qmd", ".rmd",
        ),
        _loader("rst", "reStructuredText, by heading and line", "text:RstLoader", ".rst"),
        _loader("html", "web pages, by heading and anchor", "html:HtmlLoader", ".html", ".htm",
                ".xhtml"),
        _loader("pdf", "PDF, by page and outline", "pdf:PdfLoader", ".pdf"),
        _loader("docx", "Word documents, by heading and page", "docx:DocxLoader", ".docx"),
        _loader("epub", "e-books, by chapter and heading", "epub:EpubLoader", ".epub"),
        _loader("notebook", "Jupyter notebooks, by cell", "notebook:NotebookLoader", ".ipynb"),
        _loader("email", "messages and mailboxes", "mail:MailLoader", ".eml", ".mbox"),
        _loader("csv", "tables, by row", "rows:CsvLoader", ".csv", ".tsv"),
        _loader("json", "JSON, by row or value", "rows:JsonLoader", ".json", ".jsonl", ".ndjson"),
        _loader("python", "Python, by definition", "code:PythonLoader", ".py", ".pyi", ".pyw"),
        _loader("code", "source code, by unindented definition", "code:CodeLoader", *CODE),
    ]  # fmt: skip
