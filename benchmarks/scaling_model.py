"""Predict the time of a step on many processes; docs/measurements/scaling.md explains the terms.

    python benchmarks/scaling_model.py --atom-ms 0.2 --latency-us 2 --bandwidth-gb 10

For a cube of N atoms at the density of water on P processes with cubic domains: what evaluation, messages, their bytes
and the collective calls take, with a halo and with an exchange of features.
"""

import argparse
import math

DENSITY = 192 / 12.42**3  # atoms/Å^3


def main() -> None:
    """Print a table over N and P."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--atom-ms", type=float, default=0.2, help="a conservative evaluation of one atom"
    )
    parser.add_argument("--latency-us", type=float, default=2.0, help="of one message")
    parser.add_argument("--bandwidth-gb", type=float, default=10.0, help="of a process, GB/s")
    parser.add_argument("--cutoff", type=float, default=4.5, help="Å")
    parser.add_argument("--skin", type=float, default=2.0, help="Å")
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--network", choices=["painn", "pet"], default="painn")
    parser.add_argument("--features", type=int, default=64, help="F, of an atom or of an edge")
    parser.add_argument("--bytes", type=int, default=4, help="of a number: 4 for float32")
    parser.add_argument("--atoms", type=float, nargs="+", default=[1e6, 1e8])
    parser.add_argument("--processes", type=float, nargs="+", default=[1e2, 1e3, 1e4])
    options = parser.parse_args()
    print(
        "| atoms | processes | atoms per process | halo: evaluated | halo, s/step "
        "| exchange, s/step | efficiency | evaluation | bytes | messages | collectives |\n"
        + "|---" * 11
        + "|"
    )
    for n_atoms in options.atoms:
        for n_processes in options.processes:
            print(row(n_atoms, n_processes, options))


def row(n_atoms: float, n_processes: float, options: argparse.Namespace) -> str:
    """Return one line: the two totals, and the parts of the exchange in ms."""
    edge = (n_atoms / n_processes / DENSITY) ** (1 / 3)  # Å, of a domain
    owned = n_atoms / n_processes
    reach = options.cutoff * options.layers
    halo_atoms = min(DENSITY * (edge + 2 * reach) ** 3, n_atoms)

    atom = options.atom_ms / 1e3
    latency = options.latency_us / 1e6
    # messages to the neighbours of a domain in both directions of each dimension, once or more
    n_shells = max(1, math.ceil((options.cutoff + options.skin) / edge))
    if options.network == "painn":
        # 2 F numbers of an atom after the first layer, 5 F after others; gradients of all but the first go back
        widths = [2] + [5] * (options.layers - 1)
        ghosts = DENSITY * ((edge + 2 * (options.cutoff + options.skin)) ** 3 - edge**3)
        numbers = ghosts * options.features * (sum(widths) + sum(widths[1:]))
        n_exchanges = 2 * options.layers - 1
        n_messages, n_others = 6 * n_shells * n_exchanges, 0
    else:
        # F numbers of an edge between two layers, as many gradients back, to each domain around; once the two also tell
        # each other which edges there are
        numbers = edges_across(edge, options.cutoff) * options.features * 2 * (options.layers - 1)
        n_exchanges = 2 * (options.layers - 1)
        n_messages, n_others = ((2 * n_shells + 1) ** 3 - 1) * (n_exchanges + 1), 1
    sent = numbers * options.bytes / (options.bandwidth_gb * 1e9)
    messages = n_messages * latency
    collectives = (n_exchanges + n_others + 6) * latency * math.log2(n_processes)
    evaluation = owned * atom
    exchange = evaluation + sent + messages + collectives
    halo = halo_atoms * atom + 6 * latency * math.log2(n_processes)
    parts = [f"{1e3 * part:.3g} ms" for part in (evaluation, sent, messages, collectives)]
    return (
        f"| {n_atoms:.0e} | {n_processes:.0f} | {owned:.0f} | {halo_atoms:.0f} | {halo:.3g} "
        f"| {exchange:.3g} | {evaluation / exchange:.2f} | {' | '.join(parts)} |"
    )


def edges_across(edge: float, cutoff: float) -> float:
    """Return the mean number of edges from a cube of this edge (Å) to the atoms around it, for an even density.

    Of the edges r of an atom in the cube, prod_k (1 - |r_k| / edge) stay within; this is integrated over the sphere.

    Raises
    ------
    ValueError
        If the cube is thinner than the cutoff, where the integral is another one.
    """
    if edge < cutoff:
        raise ValueError(
            f"expected domains thicker than the cutoff of {cutoff} Å, got {edge:.2f} Å"
        )
    faces = 1.5 * math.pi * edge**2 * cutoff**4
    twice = 1.6 * edge * cutoff**5  # counted at two faces, then at three
    return DENSITY**2 * (faces - twice + cutoff**6 / 6.0)


if __name__ == "__main__":
    main()
