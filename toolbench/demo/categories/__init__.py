"""The hub's tools, one module a category."""

from toolbench.demo.categories import (
    data,
    education,
    events,
    finance,
    location,
    mapping,
    science,
    text_analysis,
    tools,
    video_images,
)
from toolbench.demo.tool import HubTool

TOOLS: tuple[HubTool, ...] = tuple(
    sorted(
        (
            *data.TOOLS,
            *education.TOOLS,
            *events.TOOLS,
            *finance.TOOLS,
            *location.TOOLS,
            *mapping.TOOLS,
            *science.TOOLS,
            *text_analysis.TOOLS,
            *tools.TOOLS,
            *video_images.TOOLS,
        ),
        key=lambda tool: tool.slug,
    )
)
