"""`lutra serve` and `lutra users`: the reading room in a browser, and who may enter it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from lutra.cli import show

users_app = typer.Typer(no_args_is_help=True, help="Who may sign in to the reading room of a study.")
Directory = Annotated[Path, typer.Argument(help="Study folder.", show_default=False)]


def serve(
    directory: Directory,
    host: Annotated[
        str, typer.Option(help="Address to listen on; anything but loopback needs TLS before it.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8765,
    *,
    behind_tls: Annotated[
        bool, typer.Option("--behind-tls", help="Reached over TLS: cookies travel over nothing else.")
    ] = False,
    oidc: Annotated[
        Path | None, typer.Option(help="TOML file of an OpenID Connect provider where people may sign in too.")
    ] = None,
) -> None:
    """Open the reading room of a study in a browser; only for people with an account: lutra users add."""
    with show.reported():
        app = _app(directory, oidc, secure=behind_tls)
        import uvicorn
    show.out.print(f"reading room of {escape(str(directory))}: http://{host}:{port}")
    uvicorn.run(app, host=host, port=port, log_level="warning", server_header=False, proxy_headers=behind_tls)


def _app(directory: Path, oidc: Path | None, *, secure: bool) -> Any:
    from lutra.core.errors import MissingExtra, UsageError

    try:
        from lutra.web import create_app
        from lutra.web.oidc import Provider, read_settings
    except ImportError as error:
        raise MissingExtra("the reading room needs a web server", do="pip install lutra[web]") from error
    app = create_app(directory, secure=secure, provider=Provider(read_settings(oidc)) if oidc else None)
    if not app.state.accounts.all():
        raise UsageError(
            "nobody could sign in", required="an account", do=f"lutra users add {directory} NAME --role admin"
        )
    return app


@users_app.command("add")
def add(
    directory: Directory,
    name: Annotated[str, typer.Argument(help="Name to sign in and to sign with.", show_default=False)],
    role: Annotated[str, typer.Option(help="reader, physicist, physician, coordinator or admin.", show_default=False)],
    password: Annotated[str | None, typer.Option(help="Asked for if not given.", show_default=False)] = None,
    *,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="Signs in at the provider of lutra serve --oidc alone.")
    ] = False,
) -> None:
    """Make an account."""
    from lutra.pipeline.study import StudyFolder
    from lutra.store.accounts import ACCOUNTS, Accounts, RoleOf

    with show.reported():
        from lutra.core.errors import UsageError

        if role not in set(RoleOf):
            raise UsageError(f"role {role!r}", required=f"one of: {', '.join(RoleOf)}")
        if password and no_password:
            raise UsageError("a password and --no-password", required="one of them")
        study = StudyFolder(directory)
        if password is None and not no_password:
            password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        account = Accounts(directory / ACCOUNTS).add(name, [role], password)
        study.log("account added", {"name": account.name, "role": role})
    show.out.print(f"{escape(account.name)} may sign in as {role}")


@users_app.command("list")
def everybody(directory: Directory) -> None:
    """List the accounts."""
    from lutra.pipeline.study import StudyFolder
    from lutra.store.accounts import ACCOUNTS, Accounts

    with show.reported():
        StudyFolder(directory)
        accounts = Accounts(directory / ACCOUNTS).all()
    listing = show.table("name", "roles", "state")
    for a in accounts:
        listing.add_row(escape(a.name), ", ".join(sorted(a.roles)), "disabled" if a.disabled else "active")
    show.out.print(listing)
