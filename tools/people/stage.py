"""The Blender scene: one frame's meshes and curves, the camera, the light.

Blender counts in metres with z up and the person facing -y; `metres` turns the figure's decimetres into that. The
camera is placed once, from a clip's first frame, and stays.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Vector

from . import materials
from .figure import Frame, Strands, Surface
from .person import Light, Person, View


def metres(points: np.ndarray) -> np.ndarray:
    """Decimetres with y up → metres with z up, for any (..., 3)."""
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], axis=-1) * 0.1


@dataclass(frozen=True)
class Shot:
    """Where the camera stands: position, what it looks at, and where the lights look. Metres."""

    position: np.ndarray
    target: np.ndarray
    skull: np.ndarray


def frame_shot(view: View, frame: Frame) -> Shot:
    """The camera's place for a view of this frame: far enough for the wanted height to fill the field."""
    skull = metres(frame.skull)
    top, bottom = 0.1 * frame.high, 0.1 * frame.low
    height = view.height * (top - bottom) if view.framing == "full" else view.height
    middle = (top + bottom) / 2 if view.framing == "full" else top + view.headroom * height - height / 2
    yaw, pitch = np.radians(view.yaw), np.radians(view.pitch)
    right = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    target = np.array([skull[0], skull[1], middle]) + view.aside * height * right
    towards = np.array([np.sin(yaw) * np.cos(pitch), -np.cos(yaw) * np.cos(pitch), np.sin(pitch)])
    distance = height / 2 / np.tan(np.radians(view.field) / 2)
    return Shot(target + distance * towards, target, skull)


def empty_scene():
    """A scene with nothing in it; all that Blender held before is gone."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    return bpy.context.scene


def place(thing, name: str):
    """Put data into the scene as an object."""
    placed = bpy.data.objects.new(name, thing)
    bpy.context.collection.objects.link(placed)
    return placed


def build(person: Person, frame: Frame, shot: Shot) -> None:
    """Everything of one frame into the current scene, which is empty."""
    shades = {
        "skin": materials.skin(), "eye": materials.painted("eye", 0.08),
        "teeth": materials.plain("teeth", (0.75, 0.72, 0.62), 0.3), "hair": materials.hair("hair", person.hair_colour),
        "brow": materials.hair("brow", tuple(np.minimum(person.hair_colour, (0.12, 0.08, 0.05)))),
        "wire": materials.plain("wire", person.fabrics[2].colours[2], 0.3, 0.5)}
    shades |= {f"fabric{n}": materials.fabric(f"fabric{n}", look) for n, look in enumerate(person.fabrics)}
    for surface in frame.surfaces:
        add_surface(surface, shades[surface.material])
    for strands in frame.strands:
        add_strands(strands, shades[strands.material])
    add_camera(person.view, shot)
    add_sky(person.view)
    for light in person.view.lights:
        add_light(light, person.view.yaw, shot.skull)


def polygons(faces: np.ndarray) -> list[list[int]]:
    """Faces (F, 4) as Blender takes them: those whose last two corners are one are triangles."""
    return [face[:3] if face[2] == face[3] else face for face in faces.tolist()]


def add_surface(surface: Surface, material) -> None:
    """A mesh object; vertices without a face are left out."""
    used, local = np.unique(surface.faces, return_inverse=True)
    faces = polygons(local.reshape(surface.faces.shape))
    mesh = bpy.data.meshes.new(surface.name)
    mesh.from_pydata(metres(surface.points[used]).tolist(), [], faces)
    mesh.polygons.foreach_set("use_smooth", np.ones(len(faces), bool))
    if surface.rest is not None:
        values = mesh.attributes.new("rest", "FLOAT_VECTOR", "POINT").data
        values.foreach_set("vector", metres(surface.rest[used]).astype(np.float32).ravel())
    if surface.colours is not None:
        values = mesh.attributes.new("colour", "FLOAT_COLOR", "POINT").data
        colours = np.column_stack([surface.colours[used], np.ones(len(used))])
        values.foreach_set("color", colours.astype(np.float32).ravel())
    mesh.materials.append(material)
    placed = place(mesh, surface.name)
    if surface.finer:
        modifier = placed.modifiers.new("finer", "SUBSURF")
        modifier.levels, modifier.render_levels = 0, surface.finer


def add_strands(strands: Strands, material) -> None:
    count, points = strands.radii.shape
    curves = bpy.data.hair_curves.new(strands.name)
    curves.add_curves([points] * count)
    curves.position_data.foreach_set("vector", metres(strands.points).astype(np.float32).ravel())
    radius = curves.attributes.get("radius") or curves.attributes.new("radius", "FLOAT", "POINT")
    radius.data.foreach_set("value", (0.1 * strands.radii).astype(np.float32).ravel())
    curves.materials.append(material)
    place(curves, strands.name)


def look_at(placed, position: np.ndarray, target: np.ndarray) -> None:
    placed.location = Vector(position)
    placed.rotation_euler = (Vector(target) - Vector(position)).to_track_quat("-Z", "Y").to_euler()


def add_camera(view: View, shot: Shot) -> None:
    camera = bpy.data.cameras.new("camera")
    camera.angle, camera.clip_start = np.radians(view.field), 0.02
    placed = place(camera, "camera")
    look_at(placed, shot.position, shot.target)
    placed.rotation_euler.rotate_axis("Z", np.radians(view.roll))
    bpy.context.scene.camera = placed


def add_sky(view: View) -> None:
    """Light from all around, in two colours that change slowly with the direction."""
    world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    bpy.context.scene.world = world
    tree = world.node_tree
    where, noise = tree.nodes.new("ShaderNodeTexCoord"), tree.nodes.new("ShaderNodeTexNoise")
    ramp, background = tree.nodes.new("ShaderNodeValToRGB"), tree.nodes["Background"]
    noise.inputs["Scale"].default_value = 1.2
    for element, colour, position in zip(ramp.color_ramp.elements, view.sky, (0.35, 0.65)):
        element.color, element.position = (*colour, 1.0), position
    tree.links.new(where.outputs["Generated"], noise.inputs["Vector"])
    tree.links.new(noise.outputs[0], ramp.inputs[0])
    tree.links.new(ramp.outputs[0], background.inputs[0])
    background.inputs[1].default_value = view.ambient


def add_light(light: Light, yaw: float, skull: np.ndarray) -> None:
    lamp = bpy.data.lights.new("light", "AREA")
    lamp.energy, lamp.size, lamp.color = light.power, light.size, light.colour
    azimuth, elevation = np.radians(light.azimuth + yaw), np.radians(light.elevation)
    towards = np.array([np.sin(azimuth) * np.cos(elevation), -np.cos(azimuth) * np.cos(elevation), np.sin(elevation)])
    look_at(place(lamp, "light"), skull + light.distance * towards, skull)
